//! The figures of a run: of one second while it goes on, and of all of it at its end.

use crate::{
    connection::service_clock::WithoutService,
    numbers,
    stats::{counters::Count, recorder::Recorder, timeseries::TimeSeries},
    workload::send_schedule::Timeline,
};
use std::time::{Duration, Instant};

/// An interval of at least this many seconds counts as a whole second.
const WHOLE_SECOND: f64 = 0.9;

/// The figures of a whole run.
#[derive(Debug)]
pub(crate) struct RunOutcome {
    pub(crate) total: Recorder,
    pub(crate) series: TimeSeries,
    /// Length of the measured time.
    pub(crate) measured: Duration,
    /// From the start of the measured time until no connection was left, if that ended the load.
    pub(crate) died: Option<Duration>,
    /// From the start of the load until the last message was sent, warm-up included.
    pub(crate) sending: Duration,
    /// From the start of the run until the last connection was open.
    pub(crate) opening: Duration,
    /// Share of the measured time that the threads worked, from 0 to 1. `None` if nothing was measured.
    pub(crate) busy: Option<f64>,
    /// Share of the measured time that the threads waited for a processor. `None` if the system does not
    /// report it.
    pub(crate) waited: Option<f64>,
    /// Latency of a message that had nothing ahead of it: the lower quartile of the first messages on the
    /// connections. `None` if none of them has a valid reply.
    pub(crate) unloaded: Option<Duration>,
    /// Largest number of connections that were open at once.
    pub(crate) peak_open: u32,
    /// Number of connections that were open when the measured time ended.
    pub(crate) open_at_end: u32,
    /// The user ended the run early.
    pub(crate) interrupted: bool,
    /// With `--reconnect`: the time during which no connection was open.
    pub(crate) without_service: Option<WithoutService>,
    /// The condition that ended the run early (`--abort-on`).
    pub(crate) aborted: Option<MetCondition>,
    /// With `--fan-out`.
    pub(crate) fan_out: Option<FanOutOutcome>,
}

/// What a room has shown besides its counters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FanOutOutcome {
    pub(crate) senders: u32,
    /// The members that received all messages received them in the same order. `None` without such a member.
    pub(crate) is_same_order: Option<bool>,
}

/// A condition of `--abort-on` that became true.
#[derive(Debug, Clone)]
pub(crate) struct MetCondition {
    pub(crate) expression: String,
    /// The figure that it was true for.
    pub(crate) seen: String,
}

/// Receives the figures while a run goes on.
pub(crate) trait RunObserver {
    /// The load starts at `timeline.start`. The times of [`SecondFigures`] count from `epoch`.
    fn on_start(&mut self, timeline: &Timeline, epoch: Instant);
    /// A second is over.
    fn on_second(&mut self, second: &SecondFigures);
}

/// The figures of one second over all threads.
#[derive(Debug)]
pub(crate) struct SecondFigures {
    pub(crate) start: Duration,
    pub(crate) end: Duration,
    /// Start and end of the part that lies in the measured time.
    pub(crate) measured: Option<(Duration, Duration)>,
    pub(crate) recorder: Recorder,
    pub(crate) open: u32,
    pub(crate) in_flight: u64,
    /// Errors since the start of the run.
    pub(crate) errors: u64,
}

impl SecondFigures {
    /// Returns the valid replies per second. `None` if this is not a whole second of the measured time.
    pub(crate) fn measured_rate(&self) -> Option<f64> {
        let (start, end) = self.measured?;
        let seconds = end.saturating_sub(start).as_secs_f64();
        let replies = numbers::u64_to_f64(self.recorder.counters.get(Count::InWindow));
        (seconds >= WHOLE_SECOND).then(|| replies / seconds)
    }
}
