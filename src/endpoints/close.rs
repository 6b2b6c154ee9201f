//! `/close` and `/drop`: end the session from the server's side.

use tungstenite::Message;

use super::echo::EchoFirst;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::protocol::close_code::may_be_sent;
use crate::session::end::DropMode;
use crate::session::endpoint::{Endpoint, Next};
use crate::session::websocket::WebSocketSession;

/// Echoes some messages, then ends the session in one way.
struct End {
    echo_first: EchoFirst,
    end: Next,
}

impl Endpoint for End {
    fn on_open(&mut self, _: &mut WebSocketSession) -> Next {
        if self.echo_first.is_over() { self.end.clone() } else { Next::Continue }
    }

    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next {
        if self.echo_first.echo(session, &message) { self.end.clone() } else { Next::Continue }
    }
}

/// Builds `/close`: echoes `after` messages, then sends a Close frame.
pub(super) fn build_close(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let code = u16::try_from(parameters.number("code")).unwrap_or(u16::MAX);
    let reason = parameters.text("reason").to_owned();
    if !may_be_sent(code) && !parameters.flag("force") {
        return Err(format!(
            "{code} must not be sent in a Close frame: code takes 1000 to 1003, 1007 to 1014 and 3000 to 4999, \
             or any number together with force=1"
        ));
    }
    let echo_first = EchoFirst::new(parameters.number("after"));
    Ok(Route::upgrade(End { echo_first, end: Next::Close(code, reason) }))
}

/// Builds `/drop`: echoes `after` messages, then ends the TCP connection.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build_drop(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let mode = if parameters.text("how") == "rst" { DropMode::Rst } else { DropMode::Fin };
    let echo_first = EchoFirst::new(parameters.number("after"));
    Ok(Route::upgrade(End { echo_first, end: Next::Drop(mode) }))
}
