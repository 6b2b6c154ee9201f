//! Where the load goes: the URL, the addresses of its host, and the upgrade request.

use super::{cli::LoadArgs, tls};
use crate::{error::LoadError, net::deflate};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
};
use tungstenite::{
    client::IntoClientRequest,
    handshake::client::Request,
    http::{HeaderName, HeaderValue},
};

/// Header fields of an upgrade request that `--header` replaces. All other fields are added.
const SINGLE_FIELDS: [&str; 5] =
    ["host", "connection", "upgrade", "sec-websocket-version", "sec-websocket-key"];

/// Where the load goes.
#[derive(Debug)]
pub(crate) struct Target {
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
        let url = args.url.clone().unwrap_or_default();
        let invalid = |problem: &str| LoadError::Usage(format!("invalid URL \"{url}\"{problem}"));
        let mut request = url.as_str().into_client_request().map_err(|_| invalid(""))?;
        let uri = request.uri();
        let (secure, is_raw_tcp) = match uri.scheme_str() {
            Some("ws") => (false, false),
            Some("wss") => (true, false),
            Some("tcp") if uri.port_u16().is_some() => (false, true),
            _ => return Err(invalid(": it must start with ws:// or wss:// (or tcp:// with a port)")),
        };
        let host = uri.host().ok_or_else(|| invalid(": it has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        add_fields(&mut request, args)?;
        let addresses: Vec<_> = (host.as_str(), port)
            .to_socket_addrs()
            .map_err(|source| LoadError::Unresolvable { host: host.clone(), source: Some(source) })?
            .collect();
        if addresses.is_empty() {
            return Err(LoadError::Unresolvable { host, source: None });
        }
        let tls = if secure {
            let config = tls::client_config(args.connect.cacert.as_deref(), args.connect.insecure)?;
            let name = ServerName::try_from(host)
                .map_err(|_| invalid(": a certificate cannot contain this host name"))?;
            Some((config, name))
        } else {
            None
        };
        Ok(Self { url, addresses, request, is_raw_tcp, tls })
    }
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
