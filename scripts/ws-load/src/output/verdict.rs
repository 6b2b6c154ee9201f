//! Whether the figures describe the server or this program.

use crate::{
    numbers,
    stats::{
        assertion::Doubt,
        counters::Count,
        recorder::{Metric, Recorder},
    },
};
use std::time::Duration;

/// This program has not kept the schedule if it sent more than this share of the messages late.
const LATE_SHARE: f64 = 0.01;
/// Fewer late messages than this are ignored: every machine has some.
const LATE_FEWEST: u64 = 10;
/// Delays below this are ignored, in nanoseconds: timers and wake-ups have them on an idle machine.
const SMALLEST_DELAY: f64 = 1e6;
/// A latency is that of this program if this share of it is its own delay.
const OWN_SHARE: f64 = 0.1;
/// Threads that wait this share of the time for a processor have too few of them.
pub(super) const WAITED_SHARE: f64 = 0.2;
/// Threads that wait this share of the time for a processor are the reason for a rate that was not reached.
const WAITED_MOSTLY: f64 = 0.5;
/// Loops that are less late than this at their 99th percentile are ignored, in nanoseconds. It is less than
/// the time slice of another program. On an idle machine they are 1.9 ms late at most while a server on the
/// same two processors is loaded with small messages, and 0.14 ms with `--hold`.
const LOOP_DELAY: f64 = 2.5e6;
/// Threads that work this share of their time are saturated.
const SATURATED: f64 = 0.95;
/// A rate was not reached if more than this share of its messages was not sent, and more than those of
/// [`UNREACHED_TIME`].
const UNREACHED_SHARE: f64 = 0.01;
/// Longest delay of the end of a run that is ignored, in seconds. Without it a short run would fail because
/// of a few messages.
const UNREACHED_TIME: f64 = 0.1;
/// A rate of replies below this share of `--rate` makes a saturated generator the bottleneck.
const REACHED: f64 = 0.99;
/// The percentiles at which own delays are compared with latencies.
const COMPARED: [f64; 2] = [50.0, 99.0];

/// What is known about a run besides its [`Recorder`].
#[derive(Debug)]
pub(crate) struct RunLoad {
    pub(crate) rate: f64,
    pub(crate) rate_asked: Option<u64>,
    /// Share of the measured time that the threads worked.
    pub(crate) busy: Option<f64>,
    /// Share of the measured time that the threads waited for a processor, if it is known.
    pub(crate) waited: Option<f64>,
    /// Nothing was sent (`--hold`).
    pub(crate) is_hold: bool,
}

/// How this program performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// It sent on time, apart from delays that the server caused, or so little late that no latency changed.
    pub(crate) kept_schedule: bool,
    /// Its threads were busy all the time.
    pub(crate) saturated: bool,
    /// Its threads waited for a processor so long that it shows in the latencies.
    pub(crate) starved: bool,
}

impl Verdict {
    /// Judges a run.
    pub(crate) fn of(total: &Recorder, run: &RunLoad) -> Self {
        let counters = &total.counters;
        let late = counters.get(Count::SentLate);
        let late = late >= LATE_FEWEST
            && numbers::share(late, counters.get(Count::Scheduled)) > LATE_SHARE
            && is_large(total, Metric::Lateness, Metric::Corrected);
        let saturated = run.busy.is_some_and(|busy| busy >= SATURATED) && !run.is_hold;
        let below_rate = run.rate_asked.is_some_and(|rate| run.rate < numbers::u64_to_f64(rate) * REACHED);
        // A backlog is in the corrected latency, also one that this program has caused: it is used where
        // there is no other.
        let kinds = [Metric::Cycle, Metric::Raw, Metric::Corrected, Metric::Gap];
        let latency = kinds.into_iter().find(|metric| !total.histogram(*metric).is_empty());
        let latency = latency.unwrap_or(Metric::Raw);
        let waited_for = |share| run.waited.is_some_and(|waited| waited >= share);
        let loops_are_late =
            numbers::u64_to_f64(total.histogram(Metric::LoopLateness).value_at_percentile(99.0))
                >= LOOP_DELAY;
        // A thread that only holds connections has seldom work to wait with, and Pings wait as long as its
        // loops.
        let starved = loops_are_late
            && (run.is_hold || (waited_for(WAITED_SHARE) && is_large(total, Metric::LoopLateness, latency)));
        let exhausted = saturated
            || (waited_for(WAITED_MOSTLY) && is_large_at(50.0, total, Metric::LoopLateness, latency));
        Self {
            kept_schedule: !(run.rate_asked.is_some() && (late || (exhausted && below_rate))),
            saturated,
            starved,
        }
    }

    /// Returns in which way the figures may be wrong.
    pub(crate) fn doubt(self, total: &Recorder) -> Doubt {
        let was_late = !self.kept_schedule || self.starved;
        match () {
            () if was_late && total.counters.get(Count::Unsent) > 0 => Doubt::Incomplete,
            // Replies that were read late held messages back, and these delays add up.
            () if self.starved && total.counters.get(Count::DelayedByServer) > 0 => Doubt::Saturated,
            () if was_late => Doubt::Late,
            () if self.saturated => Doubt::Saturated,
            () => Doubt::None,
        }
    }
}

/// Returns whether the messages of `rate` were sent, and in time. `sending` is the time it took.
pub(super) fn is_reached(total: &Recorder, rate: u64, sending: Duration) -> bool {
    let [sent, unsent] = [Count::Sent, Count::Unsent].map(|count| total.counters.get(count));
    let rate = numbers::u64_to_f64(rate);
    let due = numbers::u64_to_f64(sent + unsent);
    let allowed = (due * UNREACHED_SHARE).max(rate * UNREACHED_TIME);
    // With a number of messages and no end, all are sent, but over a longer time.
    let in_time = rate * sending.as_secs_f64();
    numbers::u64_to_f64(unsent) <= allowed && in_time - due <= allowed
}

/// Returns whether a delay of this program is a large part of a latency. Without latencies, whether it is
/// large.
fn is_large(total: &Recorder, delay: Metric, latency: Metric) -> bool {
    COMPARED.iter().any(|percent| is_large_at(*percent, total, delay, latency))
}

/// As [`is_large`], at one percentile.
fn is_large_at(percent: f64, total: &Recorder, delay: Metric, latency: Metric) -> bool {
    let at = |metric| numbers::u64_to_f64(total.histogram(metric).value_at_percentile(percent));
    let (delay, latency) = (at(delay), at(latency));
    delay >= SMALLEST_DELAY && delay >= latency * OWN_SHARE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the verdict on 1000 messages, of which `late` were sent `lateness` late.
    fn of_rate(latency: Duration, late: u64, lateness: Duration) -> Verdict {
        let mut total = Recorder::new();
        for number in 0..1000 {
            let delay = if number < late { lateness } else { Duration::ZERO };
            total.record(Metric::Corrected, latency);
            total.record(Metric::Lateness, delay);
            total.count(Count::Scheduled);
            if number < late {
                total.count(Count::SentLate);
            }
        }
        let run =
            RunLoad { rate: 1000.0, rate_asked: Some(1000), busy: Some(0.1), waited: None, is_hold: false };
        Verdict::of(&total, &run)
    }

    #[test]
    fn verdict_on_the_schedule_is_relative_to_the_latency() {
        let ms = Duration::from_millis;
        assert!(of_rate(ms(50), 300, Duration::from_micros(1400)).kept_schedule);
        assert!(!of_rate(ms(5), 300, Duration::from_micros(1400)).kept_schedule);
        assert!(!of_rate(ms(50), 300, ms(20)).kept_schedule);
        assert!(of_rate(ms(5), 5, ms(20)).kept_schedule);
    }

    #[test]
    fn verdict_on_starvation_needs_waits_that_show_in_the_latency() {
        let of = |waited, loop_ms, latency_ms| {
            let mut total = Recorder::new();
            total.record(Metric::LoopLateness, Duration::from_millis(loop_ms));
            total.record(Metric::Raw, Duration::from_millis(latency_ms));
            let run = RunLoad { rate: 1.0, rate_asked: None, busy: Some(0.2), waited, is_hold: false };
            Verdict::of(&total, &run).starved
        };
        assert!(of(Some(0.9), 40, 67));
        assert!(!of(Some(0.9), 2, 50));
        // A server on the same processors, and nothing else.
        assert!(!of(Some(0.5), 2, 3));
        assert!(of(Some(0.5), 4, 3));
        assert!(!of(Some(0.01), 40, 67));
        assert!(!of(None, 40, 67));
    }
}
