//! `/info`: what the server saw of a request.

use serde_json::json;

use super::echo::echo;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::websocket::WebSocketSession;

/// `/info`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn build(_: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    Ok(Route::upgrade(|session| {
        let seen = describe(session);
        session.send_text("", &seen)?;
        echo(session)
    }))
}

/// The request as JSON.
fn describe(session: &WebSocketSession) -> String {
    let request = session.request();
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| json!([name, value])).collect();
    let tls = request
        .tls
        .as_ref()
        .map(|tls| json!({ "version": tls.version, "alpn": tls.alpn, "resumed": tls.resumed }));
    json!({
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
