//! What a session waits for. The supervisor reads it for the time-outs of idle sessions and of messages that
//! take too long.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Room in the socket, or a time: the session does not read.
    NotReading,
    /// The first byte of a message.
    BetweenMessages,
    /// The rest of a message or of a TLS record. The number differs from that of the one before.
    Unfinished(u64),
}

impl Waiting {
    /// Returns the state of a session that waits for the rest of a message, a control frame or a TLS record.
    pub(crate) fn unfinished(message: Option<u64>, record: Option<u64>) -> Self {
        match (message, record) {
            (Some(message), _) => Self::Unfinished(message << 1),
            (None, Some(record)) => Self::Unfinished(record << 1 | 1),
            (None, None) => Self::BetweenMessages,
        }
    }
}

/// A [`Waiting`] that the owner of a session stores and the supervisor reads.
#[derive(Debug, Default)]
pub(super) struct AtomicWaiting(AtomicU64);

impl AtomicWaiting {
    const NOT_READING: u64 = 0;
    const BETWEEN_MESSAGES: u64 = 1;
    /// Added to the number of something unfinished.
    const UNFINISHED: u64 = 2;

    pub(super) fn store(&self, waiting: Waiting) {
        let value = match waiting {
            Waiting::NotReading => Self::NOT_READING,
            Waiting::BetweenMessages => Self::BETWEEN_MESSAGES,
            Waiting::Unfinished(number) => number.saturating_add(Self::UNFINISHED),
        };
        self.0.store(value, Relaxed);
    }

    pub(super) fn load(&self) -> Waiting {
        match self.0.load(Relaxed) {
            Self::NOT_READING => Waiting::NotReading,
            Self::BETWEEN_MESSAGES => Waiting::BetweenMessages,
            value => Waiting::Unfinished(value - Self::UNFINISHED),
        }
    }
}
