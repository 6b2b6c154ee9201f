//! The counters of rooms that are shared with other instances.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counts what the publisher and the subscriber do.
#[derive(Debug, Default)]
pub(crate) struct RoomCounters {
    /// Both connections to Redis are up.
    pub(crate) connected: AtomicBool,
    /// Messages that Redis has accepted.
    pub(crate) published: AtomicU64,
    /// Messages that the subscription returned for a room with members.
    pub(crate) received: AtomicU64,
    /// Messages that were not published, or may not have been; their senders were closed.
    pub(crate) failed: AtomicU64,
    /// Members that may have missed messages, because the subscription was lost while they waited.
    pub(crate) interrupted: AtomicU64,
    /// Connections to Redis that were opened again.
    pub(crate) reconnects: AtomicU64,
}

/// Totals of shared rooms at one point in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomTotals {
    /// Both connections to Redis are up.
    pub connected: bool,
    /// Messages that Redis has accepted.
    pub published: u64,
    /// Messages that the subscription returned for a room with members.
    pub received: u64,
    /// Messages that were not published, or may not have been; their senders were closed.
    pub failed: u64,
    /// Members that may have missed messages, because the subscription was lost while they waited.
    pub interrupted: u64,
    /// Connections to Redis that were opened again.
    pub reconnects: u64,
}

impl RoomCounters {
    /// Returns the present values.
    pub(crate) fn totals(&self) -> RoomTotals {
        RoomTotals {
            connected: self.connected.load(Relaxed),
            published: self.published.load(Relaxed),
            received: self.received.load(Relaxed),
            failed: self.failed.load(Relaxed),
            interrupted: self.interrupted.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
        }
    }
}
