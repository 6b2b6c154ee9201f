//! Queues messages that were received and must not be echoed yet.

use std::collections::VecDeque;

use tungstenite::Message;

use crate::session::websocket::WebSocketSession;

/// Maximum number of queued messages.
const MAX_MESSAGES: usize = 1024;

/// Payload, in bytes, from which no further message is queued. The last message may exceed it.
const MAX_BYTES: usize = 1 << 20;

/// A bounded queue for endpoints that echo late. While it has room, the session reads, so that Pings get
/// their Pongs and a Close is seen. When it is full, the session stops reading and TCP flow control stops the
/// peer.
pub(super) struct Backlog<T> {
    /// Messages with what the endpoint adds, oldest first.
    queue: VecDeque<(T, Message)>,
    /// Payload of the queued messages, in bytes.
    bytes: usize,
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Backlog<T> {
    /// Adds a message. Pauses the reading of the session if the queue is full then.
    pub(super) fn push(&mut self, session: &mut WebSocketSession, entry: T, message: Message) {
        self.bytes += message.len();
        session.count_kept(message.len(), 0);
        self.queue.push_back((entry, message));
        if self.queue.len() >= MAX_MESSAGES || self.bytes >= MAX_BYTES {
            session.pause_reading();
        }
    }

    /// Returns what the endpoint added to the oldest message.
    pub(super) fn first(&self) -> Option<&T> {
        self.queue.front().map(|(entry, _)| entry)
    }

    /// Removes and returns the oldest message. The session reads again.
    pub(super) fn pop(&mut self, session: &mut WebSocketSession) -> Option<(T, Message)> {
        let (entry, message) = self.queue.pop_front()?;
        self.bytes -= message.len();
        session.count_kept(0, message.len());
        session.resume_reading();
        Some((entry, message))
    }
}
