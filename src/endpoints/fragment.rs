//! `/fragment`: messages in many frames (RFC 6455, 5.4).

use tungstenite::Message;
use tungstenite::protocol::frame::coding::Data;

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::end::SessionEnd;
use crate::session::websocket::{WebSocketSession, opcode_and_payload};

/// `/fragment`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn build(given: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let (size, ping) = (given.size("size").max(1), given.flag("ping"));
    Ok(Route::upgrade(move |session| {
        loop {
            let message = session.receive()?;
            send_in_parts(session, &message, size, ping)?;
        }
    }))
}

/// Sends a message in frames of `size` bytes. Text is split anywhere, also inside a character: only the whole has
/// to be UTF-8.
fn send_in_parts(
    session: &mut WebSocketSession,
    message: &Message,
    size: usize,
    ping: bool,
) -> Result<(), SessionEnd> {
    let (mut kind, payload) = opcode_and_payload(message);
    let mut rest = payload;
    loop {
        let (part, tail) = rest.split_at(size.min(rest.len()));
        rest = tail;
        session.send_fragment(kind, rest.is_empty(), part)?;
        if rest.is_empty() {
            return Ok(());
        }
        if ping {
            session.send_ping()?;
        }
        kind = Data::Continue;
    }
}
