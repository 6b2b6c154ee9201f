//! The counters of one session.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a worker has done, in relaxed atomics that it alone writes. The supervisor reads them once a tick.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Reads from the socket that returned bytes: the sign of life.
    pub(crate) reads: SingleWriterCounter,
    /// Data messages received.
    pub(crate) messages_in: SingleWriterCounter,
    /// Data messages sent, less those that were pushed.
    pub(crate) messages_out: SingleWriterCounter,
    /// Payload of the data messages received, in bytes.
    pub(crate) bytes_in: SingleWriterCounter,
    /// Payload of the data messages sent, less those that were pushed, in bytes.
    pub(crate) bytes_out: SingleWriterCounter,
    /// Pings received.
    pub(crate) pings_in: SingleWriterCounter,
    /// Pings that the session's behaviour sent; the supervisor counts its own.
    pub(crate) pings_out: SingleWriterCounter,
    /// Pongs received.
    pub(crate) pongs_in: SingleWriterCounter,
    /// Messages that other threads pushed.
    pub(crate) pushed: AtomicU64,
    /// Payload of the messages that other threads pushed, in bytes.
    pub(crate) pushed_bytes: AtomicU64,
}

/// A counter with a single writer: adding is a load and a store, without the locked instruction.
#[derive(Debug, Default)]
pub(crate) struct SingleWriterCounter(AtomicU64);

impl SingleWriterCounter {
    /// Adds; for the one thread that writes this counter.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// The count so far, from any thread.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Counters {
    /// Data messages sent, by the worker and by those who push.
    pub(crate) fn all_messages_out(&self) -> u64 {
        self.messages_out.get() + self.pushed.load(Relaxed)
    }

    /// Their payload, in bytes.
    pub(crate) fn all_bytes_out(&self) -> u64 {
        self.bytes_out.get() + self.pushed_bytes.load(Relaxed)
    }
}
