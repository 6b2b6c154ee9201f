//! Sends the queues of many sessions, shared out to the workers that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::platform::readiness::{ReadinessSet, Task};
use crate::platform::tune::tuning;
use crate::session::handle::SessionHandle;

/// Sessions of one part of the work. A delivery takes 3 to 10 µs, so a part is 0.1 to 0.3 ms.
const PART: usize = 32;

/// Deliveries, that is messages for each session, from which on other workers help. Help with a message to
/// 1,000 sessions costs 7 % more CPU time a delivery; see scripts/TUNING.md.
const HELP_MIN: u64 = 4096;

/// Sessions whose queues are to be sent.
#[derive(Debug)]
struct Flush {
    sessions: Arc<[Arc<SessionHandle>]>,
    /// First session that no worker has taken.
    next: AtomicUsize,
}

/// Sends the queues of sessions, in which `messages` messages are new, as far as the kernel takes them at
/// once. Each session sends the rest in its own turns. Workers that wait take parts of the work if it is
/// much; returns when no part is left to take.
pub(super) fn flush_all(sessions: Arc<[Arc<SessionHandle>]>, messages: u64, readiness: &ReadinessSet) {
    let helpers = helpers(sessions.len(), messages, readiness.waiting_workers());
    let flush = Arc::new(Flush { sessions, next: AtomicUsize::new(0) });
    if helpers > 0 {
        let task: Arc<dyn Task> = Arc::clone(&flush) as _;
        readiness.schedule_task(&task, helpers);
    }
    while flush.send_part() {}
}

/// Returns [`PART`].
fn part() -> usize {
    tuning().room_part.unwrap_or(PART)
}

/// Returns how many of the workers that wait help.
fn helpers(sessions: usize, messages: u64, waiting: usize) -> usize {
    let min = tuning().room_help_min.map_or(HELP_MIN, |min| min as u64);
    let deliveries = messages.saturating_mul(sessions as u64);
    if deliveries < min { 0 } else { sessions.div_ceil(part()).saturating_sub(1).min(waiting) }
}

impl Flush {
    /// Sends the queues of one part. Returns whether another part is left.
    fn send_part(&self) -> bool {
        let first = self.next.fetch_add(part(), Relaxed);
        let end = (first + part()).min(self.sessions.len());
        for session in self.sessions.get(first..end).unwrap_or_default() {
            session.flush();
        }
        end < self.sessions.len()
    }
}

impl Task for Flush {
    /// Sends one part; other sessions have their turns before the next one.
    fn run(self: Arc<Self>, readiness: &ReadinessSet) {
        if self.send_part() {
            readiness.requeue_task(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_help_with_bursts_and_large_rooms_only() {
        for (sessions, messages, waiting, expected) in [
            (1000, 1, 7, 0),
            (1000, 16, 7, 7),
            (1000, 16, 0, 0),
            (10_000, 1, 3, 3),
            (64, 1000, 7, 1),
            (32, 1000, 7, 0),
            (0, 1, 7, 0),
        ] {
            assert_eq!(helpers(sessions, messages, waiting), expected, "{messages} to {sessions}");
        }
    }
}
