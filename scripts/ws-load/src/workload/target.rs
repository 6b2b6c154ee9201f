//! Where the load goes: the URL, the addresses of its host, and the upgrade request.

use super::{
    address::{self, Endpoint, Sources},
    cli::{ConnectArgs, RouteArgs},
    connection_fields::ConnectionFields,
    tls,
    url::{LoadUrl, Proxy, Scheme},
};
use crate::{error::LoadError, net::deflate};
use rustls::{ClientConfig, pki_types::ServerName};
use std::sync::Arc;
use tungstenite::{
    Error,
    client::IntoClientRequest,
    handshake::client::Request,
    http::{HeaderName, HeaderValue, Uri, header::AUTHORIZATION},
};

/// Header fields of the options that only the server of the URL may see, not another one it redirects to.
const ORIGIN_FIELDS: [&str; 3] = ["authorization", "cookie", "host"];

/// The options that say how a URL is reached.
#[derive(Debug, Clone)]
pub(crate) struct TargetOptions {
    pub(crate) connect: ConnectArgs,
    pub(crate) route: RouteArgs,
    /// The request offers permessage-deflate.
    pub(crate) deflate: bool,
    /// A redirect has led to another server than that of the URL.
    pub(crate) is_elsewhere: bool,
}

/// Where the load goes.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) url: LoadUrl,
    /// The addresses of the host, in the order in which they are tried.
    pub(crate) endpoints: Vec<Endpoint>,
    /// The request for a tunnel to the server, if the addresses are those of a proxy.
    pub(crate) tunnel: Option<String>,
    /// Local addresses to connect from.
    pub(crate) sources: Sources,
    /// The upgrade request, without what differs between the connections: their keys, and `fields`.
    pub(crate) request: Request,
    pub(crate) fields: ConnectionFields,
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The redirects that led here.
    pub(crate) redirects: Vec<String>,
    options: TargetOptions,
}

impl Target {
    /// Checks the URL and the header fields, resolves the host, and reads the certificates.
    pub(crate) fn new(url: &str, options: TargetOptions) -> Result<Self, LoadError> {
        let url = LoadUrl::parse(url).map_err(LoadError::Usage)?;
        Self::at(url, options, Vec::new())
    }

    /// Returns the target that a `Location` of this one leads to.
    pub(crate) fn redirect(&self, location: &str) -> Result<Self, LoadError> {
        let url = self
            .url
            .redirect(location)
            .map_err(|problem| LoadError::Redirect { url: self.url.to_string(), problem })?;
        let mut options = self.options.clone();
        if !url.has_origin_of(&self.url) {
            options.connect.header.retain(|line| {
                let name = line.split(':').next().unwrap_or_default().trim();
                !ORIGIN_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
            });
            options.is_elsewhere = true;
        }
        let redirects = self.redirects.iter().cloned().chain([self.url.to_string()]).collect();
        Self::at(url, options, redirects)
    }

    fn at(url: LoadUrl, options: TargetOptions, redirects: Vec<String>) -> Result<Self, LoadError> {
        let mut request = upgrade_request(&url).map_err(|error| LoadError::Usage(error.to_string()))?;
        let may_send = |name: &HeaderName| !options.is_elsewhere || !ORIGIN_FIELDS.contains(&name.as_str());
        let mut fields = ConnectionFields::new(&options.connect, &url, may_send)?;
        add_fields(&mut request, &mut fields, &options)?;
        let (host, port, tunnel) = match &options.route.proxy {
            Some(proxy) => {
                let proxy = Proxy::parse(proxy).map_err(LoadError::Usage)?;
                let request = proxy.connect_request(&url);
                (proxy.host, proxy.port, Some(request))
            }
            None => (url.host.clone(), url.port, None),
        };
        let endpoints = match &options.route.unix {
            Some(path) => vec![Endpoint::Unix(path.clone())],
            None => address::resolve(&host, port, &options.route.resolve)?
                .into_iter()
                .map(Endpoint::Tcp)
                .collect(),
        };
        let tls = if url.scheme == Scheme::SecureWebSocket {
            let config = tls::client_config(&options.connect)?;
            let name = options.connect.sni.as_ref().unwrap_or(&url.host);
            let name = ServerName::try_from(name.clone()).map_err(|_| {
                LoadError::Usage(format!("a certificate cannot contain the host name \"{name}\""))
            })?;
            Some((config, name))
        } else {
            None
        };
        let sources = Sources::new(&options.route.source);
        Ok(Self { url, endpoints, tunnel, sources, request, fields, tls, redirects, options })
    }

    /// Returns whether messages are sent over TCP alone.
    pub(crate) fn is_raw_tcp(&self) -> bool {
        self.url.scheme == Scheme::RawTcp
    }
}

/// Creates the upgrade request without the fields of the options.
fn upgrade_request(url: &LoadUrl) -> Result<Request, Error> {
    // tungstenite knows ws and wss alone, and a raw connection sends no request.
    let scheme = if url.scheme == Scheme::SecureWebSocket { "wss" } else { "ws" };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(url.authority())
        .path_and_query(url.path_and_query.as_str())
        .build()?;
    let mut request = uri.into_client_request()?;
    if let Some(credentials) = &url.credentials {
        let mut value = HeaderValue::from_str(&credentials.to_basic())?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// Adds the header fields of the options to the request, or to `own` if they differ between the connections.
fn add_fields(
    request: &mut Request,
    own: &mut ConnectionFields,
    options: &TargetOptions,
) -> Result<(), LoadError> {
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| LoadError::Usage(format!("invalid value of a header field: \"{text}\"")))
    };
    let fields = request.headers_mut();
    for line in &options.connect.header {
        own.add(fields, line, options.connect.template)?;
    }
    if let Some(origin) = &options.connect.origin {
        fields.insert("origin", value(origin)?);
    }
    if !options.connect.subprotocol.is_empty() {
        fields.insert("sec-websocket-protocol", value(&options.connect.subprotocol.join(", "))?);
    }
    if options.deflate {
        fields.insert("sec-websocket-extensions", HeaderValue::from_static(deflate::OFFER));
    }
    Ok(())
}
