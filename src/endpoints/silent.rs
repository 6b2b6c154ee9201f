//! `/silent`: discards every message and sends none.

use super::closures::Timed;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::endpoint::Next;
use crate::session::websocket::WebSocketSession;

/// Builds `/silent`.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let pong = parameters.flag("pong");
    Ok(Route::upgrade(Timed(move |session: &mut WebSocketSession| {
        if !pong {
            session.suppress_pongs();
        }
        Next::Continue
    })))
}
