//! Messages that were received and may not be answered yet.

use std::collections::VecDeque;
use std::time::Instant;

use tungstenite::Message;

use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// Messages that may wait.
const MOST_MESSAGES: usize = 1024;

/// Bytes of payload that may wait, beside one message that is over it.
const MOST_BYTES: usize = 1 << 20;

/// A bounded queue in front of an echo that takes its time. While it has room, waiting goes on reading, so that
/// Pings are answered and a Close is seen; once it is full, the peer's own connection holds the peer back.
#[derive(Default)]
pub(super) struct Backlog {
    /// When each message came, and the message.
    queue: VecDeque<(Instant, Message)>,
    /// Their payload.
    bytes: usize,
}

impl Backlog {
    /// The next message and when it came; waits for one when none waits here.
    pub(super) fn next(&mut self, session: &mut WebSocketSession) -> Result<(Instant, Message), SessionEnd> {
        if let Some((arrived, message)) = self.queue.pop_front() {
            self.bytes -= message.len();
            return Ok((arrived, message));
        }
        let message = session.receive()?;
        Ok((Instant::now(), message))
    }

    /// Waits until that time, and keeps what comes in meanwhile.
    pub(super) fn wait_until(
        &mut self,
        time: Instant,
        session: &mut WebSocketSession,
    ) -> Result<(), SessionEnd> {
        while let left = time.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            if self.is_full() {
                return session.stop_reading_until(time);
            }
            if let Some(message) = session.receive_within(left)? {
                self.bytes += message.len();
                self.queue.push_back((Instant::now(), message));
            }
        }
        Ok(())
    }

    /// Whether nothing more may wait.
    fn is_full(&self) -> bool {
        self.queue.len() >= MOST_MESSAGES || self.bytes >= MOST_BYTES
    }
}
