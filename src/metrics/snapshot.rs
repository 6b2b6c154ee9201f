//! The totals of the server at one point in time.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::counters::Counters;
use super::histogram::{LengthCounts, SizeCounts};
use super::labels::counted_code;
use super::rooms::RoomTotals;
use crate::config::Config;

/// All totals since the server started, as of the supervisor's last tick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Name of the instance.
    pub name: String,
    /// Time since the server started.
    pub uptime: Duration,
    /// Connections taken by a worker.
    pub accepted: u64,
    /// Connections held by a worker now.
    pub open: u64,
    /// Maximum of `open` so far.
    pub peak: u64,
    /// Connections waiting for a worker now.
    pub waiting: u64,
    /// Connections rejected with 503 or 429, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Ended connections, by cause and by close code or HTTP status (0 if there is neither). Codes that are
    /// neither registered nor sent by the server itself are counted under the last of their class, for
    /// example 4999.
    pub closed: BTreeMap<(&'static str, u16), u64>,
    /// Ended WebSocket sessions.
    pub sessions: u64,
    /// Ended sessions whose closing handshake was complete.
    pub clean: u64,
    /// Ended sessions that the supervisor aborted before their closing handshake was complete.
    pub aborted: u64,
    /// Traffic of all sessions, open and ended.
    pub traffic: Traffic,
    /// Pings sent, by handlers and by the supervisor.
    pub pings_out: u64,
    /// Sessions ended by a panic.
    pub panics: u64,
    /// Duration of the longest ended WebSocket session.
    pub longest: Duration,
    /// Ended WebSocket sessions by their duration.
    pub lengths: LengthCounts,
    /// Memory that sessions use of [`Limits::memory_bytes`] now.
    pub memory_used: u64,
    /// Maximum of `memory_used` so far.
    pub memory_peak: u64,
    /// Limits of the server.
    pub limits: Limits,
    /// Messages of rooms that are shared with other instances; `None` if rooms are in this process only.
    pub rooms: Option<RoomTotals>,
}

/// The limits of a server that its metrics show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Number of workers.
    pub workers: u64,
    /// Maximum number of connections at once.
    pub connections: u64,
    /// Maximum number of connections that wait for a place.
    pub queue: u64,
    /// Maximum size of a message, in bytes.
    pub message_bytes: u64,
    /// Memory for messages and unsent replies of all sessions, in bytes.
    pub memory_bytes: u64,
}

impl Limits {
    /// Returns the limits of a configuration with `memory` bytes for messages.
    pub(crate) fn of(config: &Config, memory: usize) -> Self {
        let Config { workers, connections, waiting, max_message, .. } = *config;
        Self {
            workers: workers as u64,
            connections: connections as u64,
            queue: waiting as u64,
            message_bytes: max_message as u64,
            memory_bytes: memory as u64,
        }
    }
}

/// The last snapshot of the supervisor, shared with workers.
pub(crate) type SharedSnapshot = Arc<Mutex<Arc<Snapshot>>>;

/// Traffic of one or more sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Data messages received.
    pub messages_in: u64,
    /// Data messages sent.
    pub messages_out: u64,
    /// Payload received, in bytes.
    pub bytes_in: u64,
    /// Payload sent, in bytes.
    pub bytes_out: u64,
    /// Pings received.
    pub pings_in: u64,
    /// Pongs received.
    pub pongs_in: u64,
    /// Pings sent by handlers. [`Snapshot::pings_out`] includes those of the supervisor.
    pub pings_out: u64,
    /// Data messages received, by size.
    pub sizes_in: SizeCounts,
}

impl Traffic {
    /// Returns the current values of a session's counters.
    pub(crate) fn of(counters: &Counters) -> Self {
        Self {
            messages_in: counters.messages_in.get(),
            messages_out: counters.all_messages_out(),
            bytes_in: counters.bytes_in.get(),
            bytes_out: counters.all_bytes_out(),
            pings_in: counters.pings_in.get(),
            pongs_in: counters.pongs_in.get(),
            pings_out: counters.pings_out.get(),
            sizes_in: counters.sizes_in(),
        }
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            messages_in: self.messages_in - earlier.messages_in,
            messages_out: self.messages_out - earlier.messages_out,
            bytes_in: self.bytes_in - earlier.bytes_in,
            bytes_out: self.bytes_out - earlier.bytes_out,
            pings_in: self.pings_in - earlier.pings_in,
            pongs_in: self.pongs_in - earlier.pongs_in,
            pings_out: self.pings_out - earlier.pings_out,
            sizes_in: self.sizes_in - earlier.sizes_in,
        }
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.messages_in += other.messages_in;
        self.messages_out += other.messages_out;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.pings_in += other.pings_in;
        self.pongs_in += other.pongs_in;
        self.pings_out += other.pings_out;
        self.sizes_in += other.sizes_in;
    }
}

impl Snapshot {
    /// Counts an ended connection under `labels` (cause, and close code or HTTP status). `clean` is whether
    /// its closing handshake was complete.
    pub(crate) fn record_end(&mut self, labels: (&'static str, u16), clean: bool) {
        let (cause, code) = labels;
        *self.closed.entry((cause, counted_code(cause, code))).or_default() += 1;
        self.clean += u64::from(clean);
    }

    /// Counts an ended session.
    pub(crate) fn record_session(&mut self, duration: Duration) {
        self.sessions += 1;
        self.longest = self.longest.max(duration);
        self.lengths.record(duration);
    }
}
