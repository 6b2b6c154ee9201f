//! `/info`: sends the upgrade request as the server received it, then echoes.

use serde_json::json;
use tungstenite::Message;

use super::echo::echo;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::endpoint::{Endpoint, Next};
use crate::session::websocket::WebSocketSession;

struct Info;

impl Endpoint for Info {
    fn on_open(&mut self, session: &mut WebSocketSession) -> Next {
        let info = request_json(session);
        session.send_text("", info);
        Next::Continue
    }

    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next {
        echo(session, &message)
    }
}

/// Builds `/info`.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build(_: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    Ok(Route::upgrade(Info))
}

/// Returns peer address, request, negotiated options and TLS parameters as JSON.
fn request_json(session: &WebSocketSession) -> String {
    let request = session.request();
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| json!([name, value])).collect();
    let tls = request
        .tls
        .as_ref()
        .map(|tls| json!({ "version": tls.version, "alpn": tls.alpn, "resumed": tls.resumed }));
    json!({
        "served_by": session.config().name,
        "peer": session.handle().peer().to_string(),
        "path": request.path,
        "query": request.query,
        "headers": headers,
        "subprotocol": request.subprotocol,
        "extensions": request.extensions,
        "tls": tls,
    })
    .to_string()
}
