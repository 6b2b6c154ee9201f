//! Counters and latency histograms. Each driver has its own [`Recorder`] and sends it to the coordinator once
//! a second, so nothing is shared while messages flow, and memory does not grow with the length of the run.

use super::counters::{Count, RunCounters};
use crate::numbers;
use hdrhistogram::Histogram;
use std::time::Duration;

/// Resolution of the histograms: 128 ns.
const FINEST: u64 = 128;
/// Longest duration, in nanoseconds: one hour. Longer ones are recorded as this.
const LONGEST: u64 = 3_600_000_000_000;
/// Significant digits of the histograms: three, so a value is exact to 0.1 %.
const DIGITS: u8 = 3;

/// Every duration that has a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    /// From the moment the message should have been sent to its reply.
    Corrected,
    /// From the moment the message was sent to its reply.
    Raw,
    /// TCP connect.
    Connect,
    /// TLS handshake.
    Tls,
    /// WebSocket handshake, from the request to the 101.
    Handshake,
    /// The three steps together, from the moment the connection was due.
    Opening,
    /// With `--churn`: from the moment the connection was due to the reply to its message.
    Cycle,
    /// With `--reconnect`: from the loss of a connection until it was open again.
    Down,
    /// With `--one-way receive`: between two messages on a connection.
    Gap,
    /// With `--deflate`: the compression of a message, which is no part of its latency.
    Compression,
    /// How late this program sent a message, without the delays that the server caused.
    Lateness,
    /// How late the loop of a thread made its periodic checks: the time that a reply waits for this program.
    LoopLateness,
}

impl Metric {
    /// All of them.
    pub(crate) const ALL: [Self; 12] = [
        Self::Corrected,
        Self::Raw,
        Self::Connect,
        Self::Tls,
        Self::Handshake,
        Self::Opening,
        Self::Cycle,
        Self::Down,
        Self::Gap,
        Self::Compression,
        Self::Lateness,
        Self::LoopLateness,
    ];
}

/// Creates an empty histogram of nanoseconds.
#[allow(clippy::expect_used, reason = "the bounds are constants, and a test makes one")]
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(FINEST, LONGEST, DIGITS).expect("the bounds are valid")
}

/// Counters and histograms of one thread, or of all.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    pub(crate) counters: RunCounters,
    histograms: Vec<Histogram<u64>>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            counters: RunCounters::default(),
            histograms: Metric::ALL.iter().map(|_| histogram()).collect(),
        }
    }

    pub(crate) fn count(&mut self, count: Count) {
        self.counters.add(count, 1);
    }

    pub(crate) fn record(&mut self, metric: Metric, duration: Duration) {
        self.histograms[metric as usize].saturating_record(numbers::nanos(duration));
    }

    /// Returns the histogram of `metric`, in nanoseconds.
    pub(crate) fn histogram(&self, metric: Metric) -> &Histogram<u64> {
        &self.histograms[metric as usize]
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.counters.merge(&other.counters);
        for (metric, theirs) in Metric::ALL.iter().zip(&other.histograms) {
            self.merge_histogram(*metric, theirs);
        }
    }

    /// Adds a histogram, which may have other bounds, to that of `metric`.
    pub(crate) fn merge_histogram(&mut self, metric: Metric, theirs: &Histogram<u64>) {
        let mine = &mut self.histograms[metric as usize];
        if !theirs.is_empty() && mine.add(theirs).is_err() {
            // Only a histogram from a file can have other bounds.
            for value in theirs.iter_recorded() {
                mine.saturating_record_n(value.value_iterated_to(), value.count_since_last_iteration());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorder_histograms_have_the_configured_bounds() {
        assert_eq!((histogram().low(), histogram().high()), (FINEST, LONGEST));
    }

    #[test]
    fn recorder_percentiles_agree_with_a_sorted_list() {
        // Random durations over seven orders of magnitude.
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let mut sorted: Vec<u64> =
            (0..20_000).map(|_| 1000 + random() % 10_u64.pow(4 + (random() % 7) as u32)).collect();
        let mut recorder = Recorder::new();
        for value in &sorted {
            recorder.record(Metric::Corrected, Duration::from_nanos(*value));
        }
        sorted.sort_unstable();
        for percent in [1.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0] {
            let rank = (percent / 100.0 * 20_000.0_f64).ceil().max(1.0);
            let exact = sorted[numbers::u64_to_usize(numbers::f64_to_u64(rank)) - 1];
            let found = recorder.histogram(Metric::Corrected).value_at_percentile(percent);
            let error = found.abs_diff(exact);
            assert!(error <= exact / 1000 + FINEST, "p{percent}: {found} for {exact}");
        }
    }

    #[test]
    fn recorder_merged_parts_equal_the_whole() {
        let (mut whole, mut one, mut two) = (Recorder::new(), Recorder::new(), Recorder::new());
        for n in 0..5000_u64 {
            let duration = Duration::from_nanos(n * n * 37 + 500);
            whole.record(Metric::Raw, duration);
            whole.count(Count::Replies);
            let part = if n % 3 == 0 { &mut one } else { &mut two };
            part.record(Metric::Raw, duration);
            part.count(Count::Replies);
        }
        one.merge(&two);
        assert_eq!(one.histogram(Metric::Raw), whole.histogram(Metric::Raw));
        assert_eq!(one.counters.get(Count::Replies), 5000);
    }
}
