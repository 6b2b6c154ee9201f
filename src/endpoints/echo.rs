//! `/` and `/echo`: the plain echo, also for paths that are not in the table.

use tungstenite::Message;

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// Echoes every message unchanged until the session ends. Never returns `Ok`.
///
/// # Errors
/// The end of the session.
pub fn echo(session: &mut WebSocketSession) -> Result<(), SessionEnd> {
    loop {
        let message = session.receive()?;
        session.send(&message)?;
    }
}

/// Echoes every text message with the configured prefix (`--reply-prefix`), every binary message unchanged,
/// until the session ends. Never returns `Ok`.
///
/// # Errors
/// The end of the session.
pub fn echo_with_prefix(session: &mut WebSocketSession) -> Result<(), SessionEnd> {
    let prefix = session.config().reply_prefix.clone();
    loop {
        match session.receive()? {
            Message::Text(text) => session.send_text(&prefix, &text)?,
            binary => session.send(&binary)?,
        }
    }
}

/// Echoes `count` messages.
///
/// # Errors
/// The end of the session, if it has ended before.
pub(super) fn echo_times(session: &mut WebSocketSession, count: u64) -> Result<(), SessionEnd> {
    for _ in 0..count {
        let message = session.receive()?;
        session.send(&message)?;
    }
    Ok(())
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
