//! `/fragment`: messages in many frames (RFC 6455, 5.4).

use tungstenite::Message;
use tungstenite::protocol::frame::coding::Data;

use super::{Parameters, Plan, Setting};
use crate::conversation::{Conversation, parts_of};
use crate::ended::Ended;

/// `/fragment`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn plan(given: &Parameters, _: &Setting) -> Result<Plan, String> {
    let (size, ping) = (given.size("size").max(1), given.flag("ping"));
    Ok(Plan::talk(move |conversation| {
        loop {
            let message = conversation.receive()?;
            send_in_parts(conversation, &message, size, ping)?;
        }
    }))
}

/// Sends a message in frames of `size` bytes. Text is split anywhere, also inside a character: only the whole has
/// to be UTF-8.
fn send_in_parts(
    conversation: &mut Conversation,
    message: &Message,
    size: usize,
    ping: bool,
) -> Result<(), Ended> {
    let (mut kind, payload) = parts_of(message);
    let mut rest = payload;
    loop {
        let (part, tail) = rest.split_at(size.min(rest.len()));
        rest = tail;
        conversation.send_fragment(kind, rest.is_empty(), part)?;
        if rest.is_empty() {
            return Ok(());
        }
        if ping {
            conversation.send_ping()?;
        }
        kind = Data::Continue;
    }
}
