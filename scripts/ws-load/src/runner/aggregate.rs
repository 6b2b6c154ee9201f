//! Combines the intervals of the threads: into seconds while the run goes on, and into one outcome at its
//! end.

use super::{
    interval::Interval,
    outcome::{RunOutcome, SecondFigures},
};
use crate::{
    connection::service_clock::WithoutService,
    numbers,
    stats::{
        counters::Count,
        recorder::{Metric, Recorder},
        timeseries::{TimeSeries, TimeSeriesPoint},
    },
    workload::send_schedule::Timeline,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Number of latencies of first messages that are kept. They are those of the first second.
const MAX_FIRST_LATENCIES: usize = 1024;

/// The state of one thread in its last interval.
#[derive(Debug, Clone, Default)]
struct ThreadProgress {
    /// End of the last interval.
    end: Duration,
    /// End of the last measured interval.
    measured_end: Duration,
    open: u32,
    open_measured: u32,
    in_flight: u64,
}

/// The figures of all threads.
#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) total: Recorder,
    threads: Vec<ThreadProgress>,
    /// Seconds that not all threads have reported yet. Threads report once a second, so these are few.
    pending: BTreeMap<u64, SecondFigures>,
    series: TimeSeries,
    busy: Duration,
    /// Time that the threads waited for a processor, if all intervals had it.
    waited: Option<Duration>,
    span: Duration,
    peak_open: u32,
    last_opened: Option<Instant>,
    died: Option<Instant>,
    last_sent: Option<Instant>,
    last_reply: Option<Instant>,
    first_latencies: Vec<Duration>,
}

impl Aggregate {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            total: Recorder::new(),
            threads: vec![ThreadProgress::default(); threads],
            pending: BTreeMap::new(),
            series: TimeSeries::default(),
            busy: Duration::ZERO,
            waited: Some(Duration::ZERO),
            span: Duration::ZERO,
            peak_open: 0,
            last_opened: None,
            died: None,
            last_sent: None,
            last_reply: None,
            first_latencies: Vec::new(),
        }
    }

    /// Adds an interval to the totals, and to the second in which it started.
    pub(crate) fn add(&mut self, interval: &Interval) {
        self.total.merge(&interval.recorder);
        self.last_opened = self.last_opened.max(interval.last_opened);
        self.died = self.died.max(interval.died);
        self.last_sent = self.last_sent.max(interval.last_sent);
        self.last_reply = self.last_reply.max(interval.last_reply);
        let room = MAX_FIRST_LATENCIES.saturating_sub(self.first_latencies.len());
        self.first_latencies.extend(interval.first_latencies.iter().take(room));
        if let Some(thread) = self.threads.get_mut(interval.thread) {
            thread.end = interval.end;
            thread.open = interval.open;
            thread.in_flight = interval.in_flight;
            if interval.measured {
                thread.measured_end = interval.end;
                thread.open_measured = interval.open;
                self.busy += interval.busy;
                self.waited = self.waited.zip(interval.waited).map(|(sum, more)| sum + more);
                self.span += interval.end.saturating_sub(interval.start);
            }
        }
        self.peak_open = self.peak_open.max(self.threads.iter().map(|thread| thread.open).sum());
        let second = self.pending.entry(interval.start.as_secs()).or_insert_with(|| SecondFigures {
            start: interval.start,
            end: interval.end,
            measured: None,
            recorder: Recorder::new(),
            open: 0,
            in_flight: 0,
            errors: 0,
        });
        second.start = second.start.min(interval.start);
        second.end = second.end.max(interval.end);
        if interval.measured {
            let (start, end) = second.measured.unwrap_or((interval.start, interval.end));
            second.measured = Some((start.min(interval.start), end.max(interval.end)));
        }
        second.recorder.merge(&interval.recorder);
    }

    /// Removes the next second if all threads have reported it.
    pub(crate) fn pop_complete(&mut self) -> Option<SecondFigures> {
        let (second, _) = self.pending.first_key_value()?;
        let until = Duration::from_secs(second + 1);
        if self.threads.iter().all(|thread| thread.end >= until) { self.pop_next() } else { None }
    }

    /// Removes the next second, complete or not.
    pub(crate) fn pop_next(&mut self) -> Option<SecondFigures> {
        let (_, mut second) = self.pending.pop_first()?;
        second.open = self.threads.iter().map(|thread| thread.open).sum();
        second.in_flight = self.threads.iter().map(|thread| thread.in_flight).sum();
        second.errors = self.total.counters.errors();
        if let Some((start, end)) = second.measured {
            self.series.push(point(&second, start, end));
        }
        Some(second)
    }

    /// Returns the figures of the whole run. All threads must have ended, so that no connection is open.
    pub(crate) fn outcome(
        self,
        timeline: Option<&Timeline>,
        epoch: Instant,
        interrupted: bool,
        without_service: Option<WithoutService>,
    ) -> RunOutcome {
        debug_assert!(self.total.counters.are_connections_balanced(), "{:?}", self.total.counters);
        debug_assert!(self.threads.iter().all(|thread| thread.open == 0), "{:?}", self.threads);
        let measured_end = self.threads.iter().map(|thread| thread.measured_end).max().unwrap_or_default();
        // With `--one-way receive` the server may have closed all connections after its last message.
        let counters = &self.total.counters;
        let has_lost = counters.get(Count::Lost) + counters.get(Count::Failed) > 0;
        let died = self.died.filter(|_| has_lost);
        let (start, measured) = timeline.map_or((Duration::ZERO, Duration::ZERO), |timeline| {
            let since = |moment: Instant| moment.saturating_duration_since(epoch);
            let start = since(timeline.measure);
            let end = match (timeline.end.map(since), self.last_reply.map(since)) {
                // A run that died reached its figures in the time that was requested, not in a part of it.
                (Some(end), _) if measured_end >= end || died.is_some() => end,
                (_, Some(last_reply)) => last_reply,
                _ => measured_end,
            };
            (start, end.saturating_sub(start))
        });
        let share = |part: Duration| numbers::quotient(part.as_secs_f64(), self.span.as_secs_f64());
        let mut first_latencies = self.first_latencies;
        first_latencies.sort_unstable();
        RunOutcome {
            unloaded: first_latencies.get(first_latencies.len() / 4).copied(),
            busy: share(self.busy),
            waited: self.waited.and_then(share).map(|share| share.min(1.0)),
            opening: self.last_opened.map_or(Duration::ZERO, |last| last.saturating_duration_since(epoch)),
            series: self.series.starting_at(start),
            died: timeline.zip(died).map(|(timeline, died)| died.saturating_duration_since(timeline.measure)),
            sending: timeline
                .zip(self.last_sent)
                .map_or(Duration::ZERO, |(timeline, last)| last.saturating_duration_since(timeline.start)),
            measured,
            peak_open: self.peak_open,
            open_at_end: self.threads.iter().map(|thread| thread.open_measured).sum(),
            total: self.total,
            interrupted,
            without_service,
            aborted: None,
            fan_out: None,
        }
    }
}

fn point(second: &SecondFigures, start: Duration, end: Duration) -> TimeSeriesPoint {
    let [latency, gap] = [Metric::Corrected, Metric::Gap].map(|metric| second.recorder.histogram(metric));
    let latency = if gap.is_empty() { latency } else { gap };
    let percentile = |percent| Duration::from_nanos(latency.value_at_percentile(percent));
    TimeSeriesPoint {
        start,
        span: end.saturating_sub(start),
        replies: second.recorder.counters.get(Count::InWindow),
        p50: percentile(50.0),
        p99: percentile(99.0),
        max: Duration::from_nanos(latency.max()),
        errors: second.recorder.counters.errors(),
    }
}
