//! Puts the threads' intervals together: into seconds while the run goes on, and into one outcome at its end.

use super::{
    conductor::{Outcome, Second},
    interval::Interval,
    numbers,
    schedule::Timeline,
    series::{Point, Series},
    stats::{Count, Metric, Recorder},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What is known of one thread.
#[derive(Debug, Clone, Default)]
struct Thread {
    /// Up to where its figures have come.
    end: Duration,
    /// Up to where its measured figures have come.
    measured_end: Duration,
    open: u32,
    open_measured: u32,
    in_flight: u64,
}

/// Gathers the intervals of all threads.
#[derive(Debug)]
pub(super) struct Gather {
    pub(super) total: Recorder,
    threads: Vec<Thread>,
    /// Seconds that not all threads have reported yet. Threads report once a second, so these are few.
    pending: BTreeMap<u64, Second>,
    series: Series,
    busy: Duration,
    span: Duration,
    peak_open: u32,
    last_opened: Option<Instant>,
    last_reply: Option<Instant>,
}

impl Gather {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            total: Recorder::new(),
            threads: vec![Thread::default(); threads],
            pending: BTreeMap::new(),
            series: Series::default(),
            busy: Duration::ZERO,
            span: Duration::ZERO,
            peak_open: 0,
            last_opened: None,
            last_reply: None,
        }
    }

    pub(super) fn add(&mut self, interval: &Interval) {
        self.total.merge(&interval.recorder);
        self.last_opened = self.last_opened.max(interval.last_opened);
        self.last_reply = self.last_reply.max(interval.last_reply);
        if let Some(thread) = self.threads.get_mut(interval.thread) {
            thread.end = interval.end;
            thread.open = interval.open;
            thread.in_flight = interval.in_flight;
            if interval.measured {
                thread.measured_end = interval.end;
                thread.open_measured = interval.open;
                self.busy += interval.busy;
                self.span += interval.end.saturating_sub(interval.start);
            }
        }
        self.peak_open = self.peak_open.max(self.threads.iter().map(|thread| thread.open).sum());
        let second = self.pending.entry(interval.start.as_secs()).or_insert_with(|| Second {
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

    /// The next second that all threads have reported.
    pub(super) fn complete(&mut self) -> Option<Second> {
        let (second, _) = self.pending.first_key_value()?;
        let until = Duration::from_secs(second + 1);
        let complete = self.threads.iter().all(|thread| thread.end >= until);
        if complete { self.rest() } else { None }
    }

    /// The next second, complete or not.
    pub(super) fn rest(&mut self) -> Option<Second> {
        let (_, mut second) = self.pending.pop_first()?;
        second.open = self.threads.iter().map(|thread| thread.open).sum();
        second.in_flight = self.threads.iter().map(|thread| thread.in_flight).sum();
        second.errors = self.total.counters.errors();
        if let Some((start, end)) = second.measured {
            self.series.push(point(&second, start, end));
        }
        Some(second)
    }

    /// All of it, at the end.
    pub(super) fn outcome(self, timeline: Option<&Timeline>, epoch: Instant, interrupted: bool) -> Outcome {
        let measured_end = self.threads.iter().map(|thread| thread.measured_end).max().unwrap_or_default();
        let (start, measured) = timeline.map_or((Duration::ZERO, Duration::ZERO), |timeline| {
            let since = |moment: Instant| moment.saturating_duration_since(epoch);
            let start = since(timeline.measure);
            let end = match (timeline.end.map(since), self.last_reply.map(since)) {
                (Some(end), _) if measured_end >= end => end,
                (_, Some(last_reply)) => last_reply,
                _ => measured_end,
            };
            (start, end.saturating_sub(start))
        });
        let span = numbers::nanos(self.span);
        debug_assert!(self.total.counters.are_connections_balanced(), "{:?}", self.total.counters);
        debug_assert!(self.threads.iter().all(|thread| thread.open == 0), "{:?}", self.threads);
        Outcome {
            busy: numbers::share(numbers::nanos(self.busy), span),
            opening: self.last_opened.map_or(Duration::ZERO, |last| last.saturating_duration_since(epoch)),
            series: self.series.starting_at(start),
            measured,
            peak_open: self.peak_open,
            open_at_end: self.threads.iter().map(|thread| thread.open_measured).sum(),
            total: self.total,
            interrupted,
        }
    }
}

fn point(second: &Second, start: Duration, end: Duration) -> Point {
    let latency = second.recorder.histogram(Metric::Corrected);
    let percentile = |percent| Duration::from_nanos(latency.value_at_percentile(percent));
    Point {
        start,
        span: end.saturating_sub(start),
        replies: second.recorder.counters.get(Count::InWindow),
        p50: percentile(50.0),
        p99: percentile(99.0),
        max: Duration::from_nanos(latency.max()),
        errors: second.recorder.counters.errors(),
    }
}
