//! `/` and `/echo`: the plain echo, also for paths that are not in the table.

use tungstenite::Message;

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::endpoint::Next;
use crate::session::websocket::WebSocketSession;

/// Echoes a message unchanged.
pub fn echo(session: &mut WebSocketSession, message: Message) -> Next {
    session.send(message);
    Next::Continue
}

/// Echoes a text message with the configured prefix (`--reply-prefix`), a binary message unchanged.
fn echo_with_prefix(session: &mut WebSocketSession, message: Message) -> Next {
    match message {
        Message::Text(text) => {
            let config = session.shared_config();
            session.send_text(&config.reply_prefix, text);
        }
        binary => session.send(binary),
    }
    Next::Continue
}

/// Builds `/echo`.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build_echo(_: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    Ok(Route::upgrade(echo))
}

/// Builds `/`.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build_echo_with_prefix(_: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    Ok(Route::upgrade(echo_with_prefix))
}
