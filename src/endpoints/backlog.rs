//! Queues messages that were received and must not be echoed yet.

use std::collections::VecDeque;
use std::time::Instant;

use tungstenite::Message;

use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// Maximum number of queued messages.
const MAX_MESSAGES: usize = 1024;

/// Payload, in bytes, from which no further message is queued. The last message may exceed it.
const MAX_BYTES: usize = 1 << 20;

/// A bounded queue for handlers that echo late. While it has room, the handler reads during its waits, so
/// that Pings get their Pongs and a Close is seen. When it is full, the handler stops reading and TCP flow
/// control stops the peer.
#[derive(Default)]
pub(super) struct Backlog {
    /// Messages with the time of their receipt, oldest first.
    queue: VecDeque<(Instant, Message)>,
    /// Payload of the queued messages, in bytes.
    bytes: usize,
}

impl Backlog {
    /// Returns the oldest message and the time of its receipt. Blocks until a message is received if none is
    /// queued.
    ///
    /// # Errors
    /// The end of the session, if it has ended.
    pub(super) fn next(&mut self, session: &mut WebSocketSession) -> Result<(Instant, Message), SessionEnd> {
        if let Some((received_at, message)) = self.queue.pop_front() {
            self.bytes -= message.len();
            return Ok((received_at, message));
        }
        let message = session.receive()?;
        Ok((Instant::now(), message))
    }

    /// Blocks until `time`. Queues messages received meanwhile; stops reading when the queue is full.
    ///
    /// # Errors
    /// The end of the session, if it has ended.
    pub(super) fn wait_until(
        &mut self,
        time: Instant,
        session: &mut WebSocketSession,
    ) -> Result<(), SessionEnd> {
        while let remaining = time.saturating_duration_since(Instant::now())
            && !remaining.is_zero()
        {
            if self.is_full() {
                return session.stop_reading_until(time);
            }
            if let Some(message) = session.receive_within(remaining)? {
                self.bytes += message.len();
                self.queue.push_back((Instant::now(), message));
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.queue.len() >= MAX_MESSAGES || self.bytes >= MAX_BYTES
    }
}
