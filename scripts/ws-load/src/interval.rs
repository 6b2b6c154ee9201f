//! What a thread hands to the conductor while the run goes on.

use super::{error::LoadError, stats::Recorder};
use std::time::{Duration, Instant};

/// What a thread tells the conductor.
#[derive(Debug)]
pub(super) enum Report {
    /// What happened since the last one.
    Interval(Box<Interval>),
    /// All of its connections are open or have failed.
    Settled,
    /// It has ended; nothing more comes from it.
    Done(Result<(), LoadError>),
}

/// One second of one thread.
#[derive(Debug)]
pub(super) struct Interval {
    pub(super) thread: usize,
    /// From the run's epoch.
    pub(super) start: Duration,
    pub(super) end: Duration,
    /// It lies within the measured time.
    pub(super) measured: bool,
    pub(super) recorder: Recorder,
    pub(super) open: u32,
    pub(super) in_flight: u64,
    /// How much of the time the thread was at work, and not waiting.
    pub(super) busy: Duration,
    pub(super) last_opened: Option<Instant>,
    pub(super) last_reply: Option<Instant>,
}
