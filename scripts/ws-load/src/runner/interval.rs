//! What a driver sends to the coordinator while the run goes on.

use crate::{error::LoadError, stats::recorder::Recorder};
use std::time::{Duration, Instant};

/// A message from a driver to the coordinator.
#[derive(Debug)]
pub(crate) enum DriverReport {
    /// The figures since the last interval.
    Interval(Box<Interval>),
    /// Each of its connections is open or has failed.
    Settled,
    /// It has ended. Nothing follows.
    Done(Result<(), LoadError>),
}

/// The figures of one driver over about a second.
#[derive(Debug)]
pub(crate) struct Interval {
    pub(crate) thread: usize,
    /// Since the run's epoch.
    pub(crate) start: Duration,
    pub(crate) end: Duration,
    /// It lies in the measured time.
    pub(crate) measured: bool,
    pub(crate) recorder: Recorder,
    pub(crate) open: u32,
    pub(crate) in_flight: u64,
    /// How much of the interval the thread worked and did not wait.
    pub(crate) busy: Duration,
    /// How long the thread waited for a processor. `None` if the system does not report it.
    pub(crate) waited: Option<Duration>,
    pub(crate) last_opened: Option<Instant>,
    /// When no connection was left, if that ended the load.
    pub(crate) died: Option<Instant>,
    pub(crate) last_sent: Option<Instant>,
    pub(crate) last_reply: Option<Instant>,
    /// Latencies of the first messages on connections.
    pub(crate) first_latencies: Vec<Duration>,
}
