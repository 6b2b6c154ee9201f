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
const LONG: Duration = Duration::from_micros(2250);

/// In a yield some other worker should have looked too, one in so much time at least. If none did, it was the rest of a
/// turn of somebody who computes. Without this, four clients that sent 1,000 messages a second each beside two such
/// programs had a p99 of 40 to 400 ms.
const BUSY: Duration = Duration::from_micros(500);

/// A yield that is over sooner was nobody's turn, because it is less than two switches take.
const NOBODY: Duration = Duration::from_micros(2);

/// Looks of all workers. Nothing but their number depends on it.
static LOOKS: AtomicU32 = AtomicU32::new(0);

/// Whose turn it was during a yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nobody's.
    Nobody,
    /// That of our own workers and their peers.
    Ours,
    /// Not that of our workers, though not for long.
    Doubtful,
    /// That of somebody who computes.
    Others,
}

impl Turn {
    /// Whose turn it was that lasted so long, and in which so many other workers looked.
    fn judge(lasted: Duration, looks: u32) -> Self {
        if lasted > LONG {
            Self::Others
        } else if lasted > BUSY.saturating_mul(looks.max(1)) {
            Self::Doubtful
        } else if lasted < NOBODY {
            Self::Nobody
        } else {
            Self::Ours
        }
    }
}

/// Yields once.
pub(super) fn let_others_run() -> Turn {
    let (since, looks) = (Instant::now(), LOOKS.fetch_add(1, Relaxed));
    thread::yield_now();
    let lasted = since.elapsed();
    Turn::judge(lasted, LOOKS.load(Relaxed).wrapping_sub(looks) - 1)
}

/// What one session has learned.
#[derive(Debug)]
pub(super) struct Patience {
    /// Looks that may be in vain before it gives up.
    credit: u8,
    /// What is left of the setbacks.
    setbacks: u8,
    /// Reads until the next look.
    pause: u16,
}

impl Patience {
    /// What a look that found something earns. One in vain costs 1, and so little more that a fifth is worth it.
    const REWARD: u8 = 4;
    /// The most that can be earned: a session that falls silent gives up after as many looks.
    const MOST: u8 = 64;
    /// Reads between two tries when looks are in vain: a yield and a look for each of them is less than 0.05 µs a
    /// message.
    const PAUSE: u16 = 32;
    /// Reads before the first look. What a connection says first has a round trip to make: looks for it are in vain, and
    /// where ten thousand connections arrive and say one thing each, they are all there is.
    const START: u16 = 3;
    /// What a setback weighs: so many looks that found something after a turn of ours outweigh it.
    const SETBACK: u8 = 6;
    /// The most that setbacks weigh. Each makes the pause four times as long: after seven, a turn of 4 ms in 16,384
    /// reads.
    const MOST_SETBACKS: u8 = 7 * Self::SETBACK;

    /// Whether this read looks.
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        due
    }

    /// What came of a look.
    pub(super) fn learn(&mut self, turn: Turn, found: bool) {
        if turn == Turn::Others {
            self.setbacks = (self.setbacks + Self::SETBACK).min(Self::MOST_SETBACKS);
            self.pause = 1 << (2 * (self.setbacks / Self::SETBACK));
        } else if found && turn != Turn::Doubtful {
            self.credit = (self.credit + Self::REWARD).min(Self::MOST);
            self.setbacks = self.setbacks.saturating_sub(u8::from(turn == Turn::Ours));
        } else {
            self.credit = self.credit.saturating_sub(1);
            self.pause = if self.credit == 0 { Self::PAUSE } else { 0 };
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self { credit: Self::REWARD, setbacks: 0, pause: Self::START }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many reads behind the first ones, how many look when `lesson` says what comes of each.
    fn looks(reads: usize, lesson: impl Fn(usize) -> (Turn, bool)) -> usize {
        let mut patience = Patience { pause: 0, ..Patience::default() };
        (0..reads)
            .filter(|&read| {
                let due = patience.is_due();
                if due {
                    let (turn, found) = lesson(read);
                    patience.learn(turn, found);
                }
                due
            })
            .count()
    }

    #[test]
    fn what_a_connection_says_first_is_waited_for() {
        let mut patience = Patience::default();
        let due: Vec<_> = (0..5).map(|_| patience.is_due()).collect();
        assert_eq!(due, [false, false, false, true, true]);
    }

    #[test]
    fn looking_goes_on_while_one_look_in_five_finds_something() {
        assert_eq!(looks(100, |_| (Turn::Ours, true)), 100);
        assert_eq!(looks(100, |read| (Turn::Ours, read % 4 == 0)), 100);
        assert!(looks(100, |read| (Turn::Ours, read % 8 == 0)) < 60);
        assert_eq!(looks(100, |_| (Turn::Ours, false)), 6, "four for a start, then one in 33");
    }

    #[test]
    fn a_turn_is_ours_while_other_workers_look() {
        let turn = |micros, looks| Turn::judge(Duration::from_micros(micros), looks);
        assert_eq!([turn(1, 0), turn(2, 0), turn(500, 0)], [Turn::Nobody, Turn::Ours, Turn::Ours]);
        assert_eq!([turn(501, 0), turn(501, 1), turn(501, 2)], [Turn::Doubtful, Turn::Doubtful, Turn::Ours]);
        assert_eq!([turn(2250, 4), turn(2250, 5)], [Turn::Doubtful, Turn::Ours]);
        assert_eq!([turn(2251, 0), turn(2251, 100)], [Turn::Others, Turn::Others]);
    }

    #[test]
    fn only_a_turn_of_ours_outweighs_a_setback_and_a_doubtful_one_is_in_vain() {
        for (turn, credit, setbacks) in [
            (Turn::Ours, Patience::REWARD, Patience::SETBACK - 1),
            (Turn::Nobody, Patience::REWARD, Patience::SETBACK),
            (Turn::Doubtful, 0, Patience::SETBACK),
        ] {
            let mut patience = Patience { credit: 0, setbacks: Patience::SETBACK, ..Patience::default() };
            patience.learn(turn, true);
            assert_eq!((patience.credit, patience.setbacks), (credit, setbacks), "{turn:?}");
        }
    }

    #[test]
    fn beside_a_program_that_computes_hardly_any_read_yields() {
        assert!(looks(100_000, |_| (Turn::Others, true)) < 15);
        assert!(looks(1000, |read| (if read % 100 == 0 { Turn::Others } else { Turn::Ours }, true)) > 350);
    }
}
