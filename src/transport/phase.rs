//! The progress of a connection, one sequence of states.
//!
//! | from | to | when |
//! |---|---|---|
//! | handshake | open | the 101 was queued |
//! | handshake | lingering | another response was queued |
//! | open | closing | a Close was queued, by the worker or by another thread |
//! | closing | failed | the Close for an error was sent, and the sending half was shut down |
//! | open, closing | lingering | the last bytes were queued: both Closes were exchanged, or the endpoint ends the connection |
//! | any but aborted | aborted | the supervisor ended the connection with `shutdown(2)`, or its worker did at the end |
//!
//! A state is never left for an earlier one. The changes of what may be sent (to open, closing and lingering)
//! are made under the lock of the frame writer, in the hold in which the bytes are queued.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// The progress of a connection, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// From the accept to the response to the request head. Only a response may be sent.
    Handshake,
    /// Frames may be sent and received.
    Open,
    /// A Close frame was queued, after which nothing can be sent; the peer's Close has not come.
    Closing,
    /// As lingering, after a Close for an error: the peer may still be sending, and owes no Close (RFC 6455,
    /// 7.1.7).
    Failed,
    /// Nothing more is sent; waits for the peer's end of stream.
    Lingering,
    /// Ended in both directions.
    Aborted,
}

/// A [`Phase`] that only grows.
#[derive(Debug)]
pub(super) struct AtomicPhase(AtomicU8);

impl Default for AtomicPhase {
    fn default() -> Self {
        Self(AtomicU8::new(Phase::Handshake as u8))
    }
}

impl AtomicPhase {
    pub(super) fn get(&self) -> Phase {
        match self.0.load(Relaxed) {
            0 => Phase::Handshake,
            1 => Phase::Open,
            2 => Phase::Closing,
            3 => Phase::Failed,
            4 => Phase::Lingering,
            _ => Phase::Aborted,
        }
    }

    /// Sets the phase to `phase`, unless the connection is in a later one.
    pub(super) fn advance_to(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phase_is_never_left_for_an_earlier_one() {
        let phase = AtomicPhase::default();
        let order =
            [Phase::Handshake, Phase::Open, Phase::Closing, Phase::Failed, Phase::Lingering, Phase::Aborted];
        for (index, next) in order.into_iter().enumerate() {
            phase.advance_to(next);
            for earlier in &order[..=index] {
                phase.advance_to(*earlier);
                assert_eq!(phase.get(), next);
            }
        }
    }
}
