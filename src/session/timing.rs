//! Receiving and pausing with an eye on the clock.
//!
//! Each wait here flushes what is owed before it blocks, polls nothing, and is over as soon as the session is. In a timed
//! receive the worker blocks in its own socket: the peer's Close or its end of stream wakes it, and so does the
//! supervisor's cut. In a pause it does not read, and the verdict that ends the session wakes it.

use std::time::{Duration, Instant};

use tungstenite::Message;

use super::end::SessionEnd;
use super::websocket::WebSocketSession;

impl WebSocketSession {
    /// Waits for the next data message, but no longer than `wait`; zero only looks whether one is there.
    pub fn receive_within(&mut self, wait: Duration) -> Result<Option<Message>, SessionEnd> {
        self.transport.set_deadline(Instant::now().checked_add(wait));
        let received = self.next_message();
        self.transport.set_deadline(None);
        if self.has_large_buffers && matches!(received, Ok(None)) {
            self.release_buffers();
        }
        received
    }

    /// Waits until that time, and discards what the peer says meanwhile.
    pub fn discard_until(&mut self, time: Instant) -> Result<(), SessionEnd> {
        loop {
            let discarded = self.receive_within(time.saturating_duration_since(Instant::now()))?;
            if discarded.is_none() || Instant::now() >= time {
                return Ok(());
            }
        }
    }

    /// Waits until that time without reading, so that a peer that goes on sending is held back by its connection.
    pub fn stop_reading_until(&mut self, time: Instant) -> Result<(), SessionEnd> {
        self.session.writer().flush().map_err(|error| self.io_failed(&error))?;
        if self.session.sleeper().wait(time.saturating_duration_since(Instant::now())) {
            return Err(self.await_posted_close());
        }
        Ok(())
    }
}
