//! `/info`: sends the upgrade request as the server received it, then echoes.

use serde_json::{Value as Json, json};
use tungstenite::Message;

use super::echo::echo;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::endpoint::{Endpoint, Next};
use crate::session::websocket::WebSocketSession;
use crate::transport::proxy_header::ProxiedConnection;

struct Info;

impl Endpoint for Info {
    fn on_open(&mut self, session: &mut WebSocketSession) -> Next {
        let info = request_json(session);
        session.send_text("", info);
        Next::Continue
    }

    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next {
        echo(session, message)
    }
}

/// Builds `/info`.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build(_: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    Ok(Route::upgrade(Info))
}

/// Returns the address of the client and of its proxy, request, negotiated options and TLS parameters as
/// JSON.
fn request_json(session: &WebSocketSession) -> String {
    let request = session.request();
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| json!([name, value])).collect();
    let tls = request
        .tls
        .as_ref()
        .map(|tls| json!({ "version": tls.version, "alpn": tls.alpn, "resumed": tls.resumed }));
    let (peer, socket_peer) = (session.handle().peer(), session.handle().socket_peer());
    json!({
        "served_by": session.config().name,
        "peer": peer.to_string(),
        "proxy": (peer != socket_peer).then(|| socket_peer.to_string()),
        "forwarded_by": session.handle().forwarded_by(),
        "proxy_protocol": session.handle().proxied().map(proxied_json),
        "path": request.path,
        "query": request.query,
        "headers": headers,
        "subprotocol": request.subprotocol,
        "extensions": request.extensions,
        "tls": tls,
    })
    .to_string()
}

/// Returns what a PROXY header said.
fn proxied_json(proxied: &ProxiedConnection) -> Json {
    let tls = proxied.tls.as_ref().map(|tls| {
        json!({
            "version": tls.version,
            "cipher": tls.cipher,
            "common_name": tls.common_name,
            "verified": tls.verified,
        })
    });
    json!({
        "version": proxied.version,
        "source": proxied.source.map(|address| address.to_string()),
        "destination": proxied.destination.map(|address| address.to_string()),
        "authority": proxied.authority,
        "alpn": proxied.alpn,
        "tls": tls,
    })
}
