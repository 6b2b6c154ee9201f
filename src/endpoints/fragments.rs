//! A message that is sent in fragments (RFC 6455, 5.4).

use tungstenite::protocol::frame::coding::Data;
use tungstenite::{Bytes, Message};

use crate::session::websocket::{WebSocketSession, kind_and_payload};

/// What remains to be sent of a message. A fragment of a text may end inside a character: only the whole
/// message must be UTF-8 (RFC 6455, 8.1).
pub(super) struct Fragments {
    /// The kind of the next frame.
    kind: Data,
    rest: Bytes,
    /// Length of the message, in bytes. It is in memory as a whole until the last fragment.
    length: usize,
}

impl Fragments {
    /// Begins with a text or binary message.
    pub(super) fn of(session: &mut WebSocketSession, message: Message) -> Self {
        let (kind, length) = (kind_and_payload(&message).0, message.len());
        session.count_kept(length, 0);
        Self { kind, rest: message.into_data(), length }
    }

    /// Returns the length of the next fragment if it has `size` bytes at most.
    pub(super) fn next_length(&self, size: usize) -> usize {
        size.min(self.rest.len())
    }

    /// Sends the next fragment, with at most `size` bytes of payload. Returns whether it was the last one.
    pub(super) fn send_next(&mut self, session: &mut WebSocketSession, size: usize) -> bool {
        let fragment = self.rest.split_to(self.next_length(size));
        let last = self.rest.is_empty();
        session.send_fragment(self.kind, last, &fragment);
        self.kind = Data::Continue;
        if last {
            session.count_kept(0, self.length);
        }
        last
    }
}
