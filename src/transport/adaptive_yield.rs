//! Whether a worker lets others run before a read that would block.
//!
//! To block costs this thread two switches and whoever sends to it a wake-up, which is half of what a small message
//! costs. On a busy machine the peer's next message is often there once everybody who is ready has run: so a worker
//! that has said its say yields once and looks, and only then blocks. Two things can make that a bad bargain, and each
//! ends it:
//!
//! - With processors to spare it looks in vain. It goes on only while one look in five finds something.
//! - Beside a program that computes, a yield gives that program a whole turn of some milliseconds, where a thread that
//!   is woken would have gone first: four connections echoed 2,700 messages a second instead of 50,000. So a yield that
//!   took as long as such a turn is a setback, and makes the pause until the next look four times as long. What is found
//!   after a part of such a turn is no reason to look again: it would have come anyway.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// A yield that takes longer counts as the turn of somebody who computes: the kernel ends such a turn after some
/// milliseconds (4 with two processors and 250 ticks a second). A single thread that loads a hundred connections uses up
/// such a turn now and then as well, and what it is sent meanwhile waits: with 1, 2.25, 2.5 and 3 ms here it got 0.87,
/// 1.05, 1.1 and 1.1 times the messages that it got with 2 ms, and the p99 was 1.3, 2.0, 2.1 and 2.4 ms instead of 1.9.
/// But four clients that sent 1,000 messages a second each beside two programs that compute had a p99 of 4 ms with up
/// to 2.25 ms here, of 18 ms in two runs of twelve with 2.5, and of 25 to 60 ms in three of eight with 3.
const PREEMPTED_AFTER: Duration = Duration::from_micros(2250);

/// In a yield some other worker should have looked too, one in so much time at least. If none did, it was the rest of a
/// turn of somebody who computes. Without this, four clients that sent 1,000 messages a second each beside two such
/// programs had a p99 of 40 to 400 ms.
const PRODUCTIVE_INTERVAL: Duration = Duration::from_micros(500);

/// A yield that is over sooner was nobody's turn, because it is less than two switches take.
const IMMEDIATE_BELOW: Duration = Duration::from_micros(2);

/// Looks of all workers. Nothing but their number depends on it.
static YIELD_COUNT: AtomicU32 = AtomicU32::new(0);

/// Whose turn it was during a yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum YieldOutcome {
    /// Nobody's.
    Immediate,
    /// That of our own workers and their peers.
    Productive,
    /// Not that of our workers, though not for long.
    Uncertain,
    /// That of somebody who computes.
    Preempted,
}

impl YieldOutcome {
    /// Whose turn it was that lasted so long, and in which so many other workers looked.
    fn classify(lasted: Duration, looks: u32) -> Self {
        if lasted > PREEMPTED_AFTER {
            Self::Preempted
        } else if lasted > PRODUCTIVE_INTERVAL.saturating_mul(looks.max(1)) {
            Self::Uncertain
        } else if lasted < IMMEDIATE_BELOW {
            Self::Immediate
        } else {
            Self::Productive
        }
    }
}

/// Yields once.
pub(super) fn timed_yield() -> YieldOutcome {
    let (since, looks) = (Instant::now(), YIELD_COUNT.fetch_add(1, Relaxed));
    thread::yield_now();
    let lasted = since.elapsed();
    YieldOutcome::classify(lasted, YIELD_COUNT.load(Relaxed).wrapping_sub(looks) - 1)
}

/// What one session has learned.
#[derive(Debug)]
pub(super) struct AdaptiveYield {
    /// Looks that may be in vain before it gives up.
    score: u8,
    /// What is left of the setbacks.
    penalty: u8,
    /// Reads until the next look.
    pause: u16,
}

impl AdaptiveYield {
    /// What a look that found something earns. One in vain costs 1, and so little more that a fifth is worth it.
    const REWARD: u8 = 4;
    /// The most that can be earned: a session that falls silent gives up after as many looks.
    const MAX_SCORE: u8 = 64;
    /// Reads between two tries when looks are in vain: a yield and a look for each of them is less than 0.05 µs a
    /// message.
    const PAUSE: u16 = 32;
    /// Reads before the first look. What a connection says first has a round trip to make: looks for it are in vain, and
    /// where ten thousand connections arrive and say one thing each, they are all there is.
    const START: u16 = 3;
    /// What a setback weighs: so many looks that found something after a turn of ours outweigh it.
    const PENALTY: u8 = 6;
    /// The most that setbacks weigh. Each makes the pause four times as long: after seven, a turn of 4 ms in 16,384
    /// reads.
    const MAX_PENALTY: u8 = 7 * Self::PENALTY;

    /// Whether this read looks.
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        due
    }

    /// What came of a look.
    pub(super) fn record(&mut self, turn: YieldOutcome, found: bool) {
        if turn == YieldOutcome::Preempted {
            self.penalty = (self.penalty + Self::PENALTY).min(Self::MAX_PENALTY);
            self.pause = 1 << (2 * (self.penalty / Self::PENALTY));
        } else if found && turn != YieldOutcome::Uncertain {
            self.score = (self.score + Self::REWARD).min(Self::MAX_SCORE);
            self.penalty = self.penalty.saturating_sub(u8::from(turn == YieldOutcome::Productive));
        } else {
            self.score = self.score.saturating_sub(1);
            self.pause = if self.score == 0 { Self::PAUSE } else { 0 };
        }
    }
}

impl Default for AdaptiveYield {
    fn default() -> Self {
        Self { score: Self::REWARD, penalty: 0, pause: Self::START }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many reads behind the first ones, how many look when `lesson` says what comes of each.
    fn looks(reads: usize, lesson: impl Fn(usize) -> (YieldOutcome, bool)) -> usize {
        let mut adaptive_yield = AdaptiveYield { pause: 0, ..AdaptiveYield::default() };
        (0..reads)
            .filter(|&read| {
                let due = adaptive_yield.is_due();
                if due {
                    let (turn, found) = lesson(read);
                    adaptive_yield.record(turn, found);
                }
                due
            })
            .count()
    }

    #[test]
    fn what_a_connection_says_first_is_waited_for() {
        let mut adaptive_yield = AdaptiveYield::default();
        let due: Vec<_> = (0..5).map(|_| adaptive_yield.is_due()).collect();
        assert_eq!(due, [false, false, false, true, true]);
    }

    #[test]
    fn looking_goes_on_while_one_look_in_five_finds_something() {
        assert_eq!(looks(100, |_| (YieldOutcome::Productive, true)), 100);
        assert_eq!(looks(100, |read| (YieldOutcome::Productive, read % 4 == 0)), 100);
        assert!(looks(100, |read| (YieldOutcome::Productive, read % 8 == 0)) < 60);
        assert_eq!(looks(100, |_| (YieldOutcome::Productive, false)), 6, "four for a start, then one in 33");
    }

    #[test]
    fn a_turn_is_ours_while_other_workers_look() {
        let turn = |micros, looks| YieldOutcome::classify(Duration::from_micros(micros), looks);
        assert_eq!(
            [turn(1, 0), turn(2, 0), turn(500, 0)],
            [YieldOutcome::Immediate, YieldOutcome::Productive, YieldOutcome::Productive]
        );
        assert_eq!(
            [turn(501, 0), turn(501, 1), turn(501, 2)],
            [YieldOutcome::Uncertain, YieldOutcome::Uncertain, YieldOutcome::Productive]
        );
        assert_eq!([turn(2250, 4), turn(2250, 5)], [YieldOutcome::Uncertain, YieldOutcome::Productive]);
        assert_eq!([turn(2251, 0), turn(2251, 100)], [YieldOutcome::Preempted, YieldOutcome::Preempted]);
    }

    #[test]
    fn only_a_turn_of_ours_outweighs_a_setback_and_a_doubtful_one_is_in_vain() {
        for (turn, score, penalty) in [
            (YieldOutcome::Productive, AdaptiveYield::REWARD, AdaptiveYield::PENALTY - 1),
            (YieldOutcome::Immediate, AdaptiveYield::REWARD, AdaptiveYield::PENALTY),
            (YieldOutcome::Uncertain, 0, AdaptiveYield::PENALTY),
        ] {
            let mut adaptive_yield =
                AdaptiveYield { score: 0, penalty: AdaptiveYield::PENALTY, ..AdaptiveYield::default() };
            adaptive_yield.record(turn, true);
            assert_eq!((adaptive_yield.score, adaptive_yield.penalty), (score, penalty), "{turn:?}");
        }
    }

    #[test]
    fn beside_a_program_that_computes_hardly_any_read_yields() {
        assert!(looks(100_000, |_| (YieldOutcome::Preempted, true)) < 15);
        assert!(
            looks(1000, |read| (
                if read % 100 == 0 { YieldOutcome::Preempted } else { YieldOutcome::Productive },
                true
            )) > 350
        );
    }
}
