//! The echo: what every path does that has no other purpose.

use tungstenite::Message;

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// Every message comes back as it was.
pub fn echo(session: &mut WebSocketSession) -> Result<(), SessionEnd> {
    loop {
        let message = session.receive()?;
        session.send(&message)?;
    }
}

/// A text comes back behind the words "Received: ", or what `--reply-prefix` says; a binary message as it was.
pub fn echo_with_prefix(session: &mut WebSocketSession) -> Result<(), SessionEnd> {
    let prefix = session.config().reply_prefix.clone();
    loop {
        match session.receive()? {
            Message::Text(text) => session.send_text(&prefix, &text)?,
            binary => session.send(&binary)?,
        }
    }
}

/// Echoes that many messages, and then returns.
pub(super) fn echo_times(session: &mut WebSocketSession, times: u64) -> Result<(), SessionEnd> {
    for _ in 0..times {
        let message = session.receive()?;
        session.send(&message)?;
    }
    Ok(())
}

/// `/echo`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn build_echo(_: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    Ok(Route::upgrade(echo))
}

/// `/`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn build_echo_with_prefix(_: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    Ok(Route::upgrade(echo_with_prefix))
}
