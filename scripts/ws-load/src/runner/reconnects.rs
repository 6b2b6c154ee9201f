//! Lost connections that will be opened again, with `--reconnect`.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};
use ws_echo::platform::random::splitmix64;

/// Longest wait before the first attempt.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait before a later one. The wait doubles up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// When lost connections are opened again. Each connection is in it at most once.
#[derive(Debug, Default)]
pub(crate) struct Reconnects {
    queue: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Reconnects {
    /// Inserts a connection after `failed` attempts without success. `random` spreads the attempts, so that
    /// a server that starts is not overrun.
    pub(crate) fn push(&mut self, connection: usize, failed: u32, now: Instant, random: u64) {
        self.queue.push(Reverse((now + wait(failed, random), connection)));
    }

    /// Removes the next connection that is due at `now`, and returns when it became due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let Reverse((due, connection)) = *self.queue.peek().filter(|Reverse((due, _))| *due <= now)?;
        self.queue.pop();
        Some((connection, due))
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((due, _))| *due)
    }

    /// Empties the queue.
    pub(crate) fn stop(&mut self) {
        self.queue.clear();
    }
}

/// Returns the wait after `failed` attempts: between half of an exponentially growing time and all of it.
fn wait(failed: u32, random: u64) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << failed.min(10)).min(LONGEST_WAIT);
    let thousandths = u32::try_from(500 + splitmix64(random) % 501).unwrap_or(1000);
    longest * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconnects_wait_longer_after_each_failure_up_to_a_limit() {
        for random in 0..100 {
            let waits: Vec<_> = (0..40).map(|failed| wait(failed, random)).collect();
            assert!((FIRST_WAIT / 2..=FIRST_WAIT).contains(&waits[0]), "{waits:?}");
            assert!(waits[3] > waits[0] && waits[39] >= LONGEST_WAIT / 2, "{waits:?}");
            assert!(waits.iter().all(|wait| *wait <= LONGEST_WAIT), "{waits:?}");
        }
        assert_ne!(wait(3, 1), wait(3, 2));
    }
}
