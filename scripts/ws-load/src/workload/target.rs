//! Where the load goes: the URL, the addresses of its host, and the upgrade request.

use super::{
    address,
    cli::LoadArgs,
    tls,
    url::{LoadUrl, Scheme},
};
use crate::{error::LoadError, net::deflate};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{net::SocketAddr, sync::Arc};
use tungstenite::{
    Error,
    client::IntoClientRequest,
    handshake::client::Request,
    http::{HeaderName, HeaderValue, Uri, header::AUTHORIZATION},
};

/// Header fields of an upgrade request that `--header` replaces. All other fields are added.
const SINGLE_FIELDS: [&str; 6] =
    ["host", "connection", "upgrade", "sec-websocket-version", "sec-websocket-key", "authorization"];

/// Where the load goes.
#[derive(Debug)]
pub(crate) struct Target {
    /// The URL without user and password, for reports.
    pub(crate) url: String,
    pub(crate) addresses: Vec<SocketAddr>,
    /// The upgrade request. Each connection inserts its own key.
    pub(crate) request: Request,
    /// The URL is `tcp://`.
    pub(crate) is_raw_tcp: bool,
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Target {
    /// Checks the URL and the header fields, resolves the host, and reads the CA file.
    pub(crate) fn new(args: &LoadArgs) -> Result<Self, LoadError> {
        let url = LoadUrl::parse(args.url.as_deref().unwrap_or_default()).map_err(LoadError::Usage)?;
        let mut request = upgrade_request(&url).map_err(|error| LoadError::Usage(error.to_string()))?;
        add_fields(&mut request, args)?;
        let addresses = address::resolve(&url.host, url.port, &args.route.resolve)?;
        let tls = if url.scheme == Scheme::SecureWebSocket {
            let config = tls::client_config(&args.connect)?;
            let name = ServerName::try_from(url.host.clone()).map_err(|_| {
                LoadError::Usage(format!("a certificate cannot contain the host name \"{}\"", url.host))
            })?;
            Some((config, name))
        } else {
            None
        };
        let is_raw_tcp = url.scheme == Scheme::RawTcp;
        Ok(Self { url: url.to_string(), addresses, request, is_raw_tcp, tls })
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

/// Adds the header fields of the options.
fn add_fields(request: &mut Request, args: &LoadArgs) -> Result<(), LoadError> {
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| LoadError::Usage(format!("invalid value of a header field: \"{text}\"")))
    };
    let fields = request.headers_mut();
    for line in &args.connect.header {
        let parts = line.split_once(':');
        let (name, text) =
            parts.ok_or_else(|| LoadError::Usage(format!("the header field \"{line}\" has no colon")))?;
        let name = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| LoadError::Usage(format!("invalid name of a header field: \"{name}\"")))?;
        if fields.contains_key(&name) && SINGLE_FIELDS.contains(&name.as_str()) {
            fields.insert(name, value(text.trim())?);
        } else {
            fields.append(name, value(text.trim())?);
        }
    }
    if let Some(origin) = &args.connect.origin {
        fields.insert("origin", value(origin)?);
    }
    if !args.connect.subprotocol.is_empty() {
        fields.insert("sec-websocket-protocol", value(&args.connect.subprotocol.join(", "))?);
    }
    if args.message.deflate {
        fields.insert("sec-websocket-extensions", HeaderValue::from_static(deflate::OFFER));
    }
    Ok(())
}
