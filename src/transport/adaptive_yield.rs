//! Decides whether a worker calls `sched_yield` before a read that would block.
//!
//! A blocking read costs two context switches and a wake-up, half the cost of a small message. On a busy
//! machine the next message has often arrived after one yield. So a worker yields once, receives without
//! blocking, and blocks only if nothing arrived. Two cases make the yield a loss, and the worker then yields
//! less often:
//!
//! - Processors are idle, so nothing arrives during the yield. A session keeps yielding while at least one
//!   yield in five is followed by data.
//! - A CPU-bound process takes the processor for a whole time slice. Each such yield multiplies the number of
//!   reads until the next yield by four. Data that arrives during such a yield does not count: a blocking
//!   read would have received it too.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// A yield longer than this counts as preemption by a CPU-bound process. The kernel ends the time slice of
/// such a process after 4 ms (two processors, 250 Hz); see scripts/TUNING.md.
const PREEMPTED_AFTER: Duration = Duration::from_micros(2250);

/// A yield longer than this counts as productive only if other workers yielded at least once in each such
/// interval, on average. Otherwise a CPU-bound process used the time. Without this check the p99 beside two
/// such processes was 40 to 400 ms; see scripts/TUNING.md.
const PRODUCTIVE_INTERVAL: Duration = Duration::from_micros(500);

/// In a yield shorter than this no other thread ran: two context switches take longer.
const IMMEDIATE_BELOW: Duration = Duration::from_micros(2);

/// Yields of all workers. Wraps around; only differences are used.
static YIELD_COUNT: AtomicU32 = AtomicU32::new(0);

/// What ran during a yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum YieldOutcome {
    /// No other thread.
    Immediate,
    /// Other workers and their peers.
    Productive,
    /// Threads that are not workers, for less than a time slice.
    Uncertain,
    /// A CPU-bound process, for a time slice.
    Preempted,
}

impl YieldOutcome {
    /// Classifies a yield by its duration and by the number of yields of other workers meanwhile.
    fn classify(elapsed: Duration, other_yields: u32) -> Self {
        if elapsed > PREEMPTED_AFTER {
            Self::Preempted
        } else if elapsed > PRODUCTIVE_INTERVAL.saturating_mul(other_yields.max(1)) {
            Self::Uncertain
        } else if elapsed < IMMEDIATE_BELOW {
            Self::Immediate
        } else {
            Self::Productive
        }
    }
}

/// Yields once and classifies the yield.
pub(super) fn timed_yield() -> YieldOutcome {
    let (started, count_before) = (Instant::now(), YIELD_COUNT.fetch_add(1, Relaxed));
    thread::yield_now();
    let elapsed = started.elapsed();
    YieldOutcome::classify(elapsed, YIELD_COUNT.load(Relaxed).wrapping_sub(count_before) - 1)
}

/// The yield history of one session.
#[derive(Debug)]
pub(super) struct AdaptiveYield {
    /// Yields without data that remain until the session pauses for [`Self::PAUSE`] reads; 0 to
    /// [`Self::MAX_SCORE`].
    score: u8,
    /// Raised by [`Self::PENALTY`] for each preemption, lowered by 1 for each productive yield with data.
    penalty: u8,
    /// Reads without a yield until the next yield.
    reads_to_skip: u16,
}

impl AdaptiveYield {
    /// Added to the score by a yield with data. A yield without data subtracts 1, so one in five keeps the
    /// score.
    const REWARD: u8 = 4;
    /// Highest score: the number of yields that an idle session makes before it pauses.
    const MAX_SCORE: u8 = 64;
    /// Reads without a yield while the score is 0. Bounds the cost of useless yields to 0.05 µs a message.
    const PAUSE: u16 = 32;
    /// Reads without a yield when a session begins. Its first messages need a round trip each, so a yield
    /// finds nothing.
    const FIRST_PAUSE: u16 = 3;
    /// Weight of a preemption: the number of productive yields with data that outweigh it.
    const PENALTY: u8 = 6;
    /// Highest penalty, seven preemptions: then one yield (a time slice of 4 ms) in 4^7 = 16,384 reads.
    const MAX_PENALTY: u8 = 7 * Self::PENALTY;

    /// Returns whether to yield before this read. Call once for each read.
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.reads_to_skip == 0;
        self.reads_to_skip = self.reads_to_skip.saturating_sub(1);
        due
    }

    /// Records the outcome of a yield and whether the receive after it found data.
    pub(super) fn record(&mut self, outcome: YieldOutcome, found_data: bool) {
        if outcome == YieldOutcome::Preempted {
            self.penalty = (self.penalty + Self::PENALTY).min(Self::MAX_PENALTY);
            self.reads_to_skip = 1 << (2 * (self.penalty / Self::PENALTY));
        } else if found_data && outcome != YieldOutcome::Uncertain {
            self.score = (self.score + Self::REWARD).min(Self::MAX_SCORE);
            self.penalty = self.penalty.saturating_sub(u8::from(outcome == YieldOutcome::Productive));
        } else {
            self.score = self.score.saturating_sub(1);
            self.reads_to_skip = if self.score == 0 { Self::PAUSE } else { 0 };
        }
    }
}

impl Default for AdaptiveYield {
    fn default() -> Self {
        Self { score: Self::REWARD, penalty: 0, reads_to_skip: Self::FIRST_PAUSE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many of `reads` reads yield if `outcome_of` gives the outcome of the yield before each
    /// read.
    fn count_yields(reads: usize, outcome_of: impl Fn(usize) -> (YieldOutcome, bool)) -> usize {
        let mut adaptive_yield = AdaptiveYield { reads_to_skip: 0, ..AdaptiveYield::default() };
        (0..reads)
            .filter(|&read| {
                let due = adaptive_yield.is_due();
                if due {
                    let (outcome, found_data) = outcome_of(read);
                    adaptive_yield.record(outcome, found_data);
                }
                due
            })
            .count()
    }

    #[test]
    fn yield_is_skipped_for_the_first_reads_of_a_session() {
        let mut adaptive_yield = AdaptiveYield::default();
        let due: Vec<_> = (0..5).map(|_| adaptive_yield.is_due()).collect();
        assert_eq!(due, [false, false, false, true, true]);
    }

    #[test]
    fn yield_continues_while_one_in_five_finds_data() {
        assert_eq!(count_yields(100, |_| (YieldOutcome::Productive, true)), 100);
        assert_eq!(count_yields(100, |read| (YieldOutcome::Productive, read % 4 == 0)), 100);
        assert!(count_yields(100, |read| (YieldOutcome::Productive, read % 8 == 0)) < 60);
        let without_data = count_yields(100, |_| (YieldOutcome::Productive, false));
        assert_eq!(without_data, 6, "four from the initial score, then one in 33");
    }

    #[test]
    fn yield_is_productive_while_other_workers_yield_too() {
        let classify =
            |micros, other_yields| YieldOutcome::classify(Duration::from_micros(micros), other_yields);
        assert_eq!(
            [classify(1, 0), classify(2, 0), classify(500, 0)],
            [YieldOutcome::Immediate, YieldOutcome::Productive, YieldOutcome::Productive]
        );
        assert_eq!(
            [classify(501, 0), classify(501, 1), classify(501, 2)],
            [YieldOutcome::Uncertain, YieldOutcome::Uncertain, YieldOutcome::Productive]
        );
        assert_eq!(
            [classify(2250, 4), classify(2250, 5)],
            [YieldOutcome::Uncertain, YieldOutcome::Productive]
        );
        assert_eq!(
            [classify(2251, 0), classify(2251, 100)],
            [YieldOutcome::Preempted, YieldOutcome::Preempted]
        );
    }

    #[test]
    fn yield_lowers_the_penalty_only_if_productive_and_the_score_if_uncertain() {
        for (outcome, score, penalty) in [
            (YieldOutcome::Productive, AdaptiveYield::REWARD, AdaptiveYield::PENALTY - 1),
            (YieldOutcome::Immediate, AdaptiveYield::REWARD, AdaptiveYield::PENALTY),
            (YieldOutcome::Uncertain, 0, AdaptiveYield::PENALTY),
        ] {
            let mut adaptive_yield =
                AdaptiveYield { score: 0, penalty: AdaptiveYield::PENALTY, ..AdaptiveYield::default() };
            adaptive_yield.record(outcome, true);
            assert_eq!((adaptive_yield.score, adaptive_yield.penalty), (score, penalty), "{outcome:?}");
        }
    }

    #[test]
    fn yield_is_rare_beside_a_cpu_bound_process() {
        assert!(count_yields(100_000, |_| (YieldOutcome::Preempted, true)) < 15);
        let one_in_hundred_preempted = count_yields(1000, |read| {
            (if read % 100 == 0 { YieldOutcome::Preempted } else { YieldOutcome::Productive }, true)
        });
        assert!(one_in_hundred_preempted > 350);
    }
}
