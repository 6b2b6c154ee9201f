//! `/silent`: discards every message and sends none.

use tungstenite::Message;

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::endpoint::{Endpoint, Next};
use crate::session::websocket::WebSocketSession;

struct Silent {
    pong: bool,
}

impl Endpoint for Silent {
    fn on_open(&mut self, session: &mut WebSocketSession) -> Next {
        if !self.pong {
            session.suppress_pongs();
        }
        Next::Continue
    }

    fn on_message(&mut self, _: &mut WebSocketSession, _: Message) -> Next {
        Next::Continue
    }
}

/// Builds `/silent`.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    Ok(Route::upgrade(Silent { pong: parameters.flag("pong") }))
}
