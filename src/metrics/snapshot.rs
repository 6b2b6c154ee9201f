//! What is counted: a snapshot for scrapers, and the summary that is printed at the end.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::counters::Counters;

/// Everything counted since the server started, as of the supervisor's last tick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Since the start.
    pub uptime: Duration,
    /// Connections that a worker took.
    pub accepted: u64,
    /// Connections that a worker has now.
    pub open: u64,
    /// The most that workers had at once.
    pub peak: u64,
    /// Connections that wait for a worker.
    pub waiting: u64,
    /// Connections refused with 503, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Connections that have ended: by whom, and with which close code or HTTP status .
    pub closed: BTreeMap<(&'static str, u16), u64>,
    /// WebSocket sessions that have ended.
    pub sessions: u64,
    /// Those of them in which both sides said Close.
    pub clean: u64,
    /// Those of them that were cut before both sides had.
    pub cut: u64,
    /// What went over all sessions, open and ended.
    pub traffic: Traffic,
    /// Pings that the server sent.
    pub pings_out: u64,
    /// Sessions that ended because of a bug.
    pub panics: u64,
    /// The longest WebSocket session that has ended.
    pub longest: Duration,
}

/// Where the supervisor leaves its last snapshot for everybody.
pub(crate) type SharedSnapshot = Arc<Mutex<Arc<Snapshot>>>;

/// What goes over a session.
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
    /// Pings that behaviours sent; [`Snapshot::pings_out`] has those of the supervisor too.
    pub pings_out: u64,
}

impl Traffic {
    /// What a session's worker has counted so far.
    pub(crate) fn of(counters: &Counters) -> Self {
        Self {
            messages_in: counters.messages_in.get(),
            messages_out: counters.all_messages_out(),
            bytes_in: counters.bytes_in.get(),
            bytes_out: counters.all_bytes_out(),
            pings_in: counters.pings_in.get(),
            pongs_in: counters.pongs_in.get(),
            pings_out: counters.pings_out.get(),
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
    }
}

impl Snapshot {
    /// Counts how a connection ended.
    pub(crate) fn record_end(&mut self, labels: (&'static str, u16), clean: bool) {
        *self.closed.entry(labels).or_default() += 1;
        self.clean += u64::from(clean);
    }
}
