//! Receiving and pausing with an eye on the clock.
//!
//! Each wait here flushes what is owed before it blocks, polls nothing, and is over as soon as the session is. In a timed
//! receive the worker blocks in its own socket: the peer's Close or its end of stream wakes it, and so does the
//! supervisor's cut. In a pause it does not read, and the verdict that ends the session wakes it.

use std::time::{Duration, Instant};

use tungstenite::Message;

use super::Conversation;
use crate::ended::Ended;

impl Conversation {
    /// Waits for the next data message, but no longer than `wait`; zero only looks whether one is there.
    pub fn receive_within(&mut self, wait: Duration) -> Result<Option<Message>, Ended> {
        self.transport.set_deadline(Instant::now().checked_add(wait));
        let received = self.next_message();
        self.transport.set_deadline(None);
        if self.bulky && matches!(received, Ok(None)) {
            self.give_back();
        }
        received
    }

    /// Waits until that time, and discards what the peer says meanwhile.
    pub fn ignore_until(&mut self, time: Instant) -> Result<(), Ended> {
        loop {
            let discarded = self.receive_within(time.saturating_duration_since(Instant::now()))?;
            if discarded.is_none() || Instant::now() >= time {
                return Ok(());
            }
        }
    }

    /// Waits until that time without reading, so that a peer that goes on sending is held back by its connection.
    pub fn pause_until(&mut self, time: Instant) -> Result<(), Ended> {
        self.session.outbox().flush().map_err(|error| self.lost(&error))?;
        if self.session.pause().wait(time.saturating_duration_since(Instant::now())) {
            return Err(self.sealed());
        }
        Ok(())
    }
}
