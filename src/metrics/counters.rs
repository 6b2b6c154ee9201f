//! The counters of one session.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::histogram::{SIZE_BUCKETS, SizeCounts, bucket_of_size};

/// Counts the traffic of one session. The worker writes all counters except those of pushed messages; the
/// supervisor reads them once a tick.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Reads from the socket that returned bytes. The keepalive timer observes this counter.
    pub(crate) reads: SingleWriterCounter,
    /// Data messages received.
    pub(crate) messages_in: SingleWriterCounter,
    /// Data messages sent by the worker.
    pub(crate) messages_out: SingleWriterCounter,
    /// Payload of the received data messages, in bytes.
    pub(crate) bytes_in: SingleWriterCounter,
    /// Payload of the data messages sent by the worker, in bytes.
    pub(crate) bytes_out: SingleWriterCounter,
    /// Data messages received, by size.
    sizes_in: [SingleWriterCounter; SIZE_BUCKETS],
    /// Pings received.
    pub(crate) pings_in: SingleWriterCounter,
    /// Pings sent by the handler. The supervisor counts its own Pings.
    pub(crate) pings_out: SingleWriterCounter,
    /// Pongs received.
    pub(crate) pongs_in: SingleWriterCounter,
    /// Data messages pushed by any thread.
    pub(crate) pushed: AtomicU64,
    /// Payload of the pushed data messages, in bytes.
    pub(crate) pushed_bytes: AtomicU64,
}

/// A counter with a single writer. Adding is a load and a store, without a locked instruction.
#[derive(Debug, Default)]
pub(crate) struct SingleWriterCounter(AtomicU64);

impl SingleWriterCounter {
    /// Adds `n`. Only one thread may call this: concurrent additions are lost.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Returns the count. Any thread may call this.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Counters {
    /// Counts a received data message with a payload of `size` bytes.
    pub(crate) fn record_received(&self, size: usize) {
        self.messages_in.add(1);
        self.bytes_in.add(size as u64);
        self.sizes_in[bucket_of_size(size as u64)].add(1);
    }

    /// Returns the received data messages by size.
    pub(super) fn sizes_in(&self) -> SizeCounts {
        SizeCounts(self.sizes_in.each_ref().map(SingleWriterCounter::get))
    }

    /// Returns the number of data messages sent, including pushed ones.
    pub(crate) fn all_messages_out(&self) -> u64 {
        self.messages_out.get() + self.pushed.load(Relaxed)
    }

    /// Returns the payload of the data messages sent, including pushed ones, in bytes.
    pub(crate) fn all_bytes_out(&self) -> u64 {
        self.bytes_out.get() + self.pushed_bytes.load(Relaxed)
    }
}
