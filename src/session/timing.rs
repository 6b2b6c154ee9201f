//! Waits of a handler that end at a given time.
//!
//! Each of them sends all unsent bytes before it blocks, and ends when the session ends. [`receive_within`] and
//! [`discard_until`] block in a read, which ends when the peer or the supervisor ends the connection.
//! [`stop_reading_until`] sleeps without reading, and ends early when another thread terminates the session.
//!
//! [`receive_within`]: WebSocketSession::receive_within
//! [`discard_until`]: WebSocketSession::discard_until
//! [`stop_reading_until`]: WebSocketSession::stop_reading_until

use std::time::{Duration, Instant};

use tungstenite::Message;

use super::end::SessionEnd;
use super::websocket::WebSocketSession;

impl WebSocketSession {
    /// Blocks until the next data message arrives, for at most `timeout`. Returns `None` on time-out. With a zero
    /// time-out it returns only a message that was already received.
    ///
    /// # Errors
    /// The end of the session, if it has ended.
    pub fn receive_within(&mut self, timeout: Duration) -> Result<Option<Message>, SessionEnd> {
        self.transport.set_deadline(Instant::now().checked_add(timeout));
        let received = self.next_message();
        self.transport.set_deadline(None);
        if self.has_large_buffers && matches!(received, Ok(None)) {
            self.release_buffers();
        }
        received
    }

    /// Blocks until `time` and discards the messages received meanwhile.
    ///
    /// # Errors
    /// The end of the session, if it has ended.
    pub fn discard_until(&mut self, time: Instant) -> Result<(), SessionEnd> {
        loop {
            let discarded = self.receive_within(time.saturating_duration_since(Instant::now()))?;
            if discarded.is_none() || Instant::now() >= time {
                return Ok(());
            }
        }
    }

    /// Blocks until `time` without reading, so that TCP flow control slows the peer down.
    ///
    /// # Errors
    /// The end of the session, if it has ended.
    pub fn stop_reading_until(&mut self, time: Instant) -> Result<(), SessionEnd> {
        self.handle.writer().flush().map_err(|error| self.io_failed(&error))?;
        if self.handle.sleeper().wait(time.saturating_duration_since(Instant::now())) {
            return Err(self.await_queued_close());
        }
        Ok(())
    }
}
