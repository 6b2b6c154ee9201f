//! `/fragment`: echoes each message as a fragmented message (RFC 6455, 5.4).

use tungstenite::Message;
use tungstenite::protocol::frame::coding::Data;

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::end::SessionEnd;
use crate::session::websocket::{WebSocketSession, kind_and_payload};

/// Builds `/fragment`.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let (size, ping) = (parameters.size("size").max(1), parameters.flag("ping"));
    Ok(Route::upgrade(move |session| {
        loop {
            let message = session.receive()?;
            send_fragmented(session, &message, size, ping)?;
        }
    }))
}

/// Sends a message in frames of `size` bytes of payload, with a Ping between two frames if `ping`. A fragment
/// of a text may end inside a character: only the whole message must be UTF-8 (RFC 6455, 8.1).
fn send_fragmented(
    session: &mut WebSocketSession,
    message: &Message,
    size: usize,
    ping: bool,
) -> Result<(), SessionEnd> {
    let (mut kind, mut rest) = kind_and_payload(message);
    loop {
        let (fragment, tail) = rest.split_at(size.min(rest.len()));
        rest = tail;
        session.send_fragment(kind, rest.is_empty(), fragment)?;
        if rest.is_empty() {
            return Ok(());
        }
        if ping {
            session.send_ping()?;
        }
        kind = Data::Continue;
    }
}
