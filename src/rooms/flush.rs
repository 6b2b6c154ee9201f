//! Sends the queues of many sessions, shared out to the workers that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::platform::readiness::{ReadinessSet, Task};
use crate::session::handle::SessionHandle;

/// Sessions of one part of the work. A write is 5 to 10 µs, so a part is a fifth of a millisecond. Smaller
/// parts cost more wake-ups than they save time.
const PART: usize = 32;

/// Sessions whose queues are to be sent.
#[derive(Debug)]
struct Flush {
    sessions: Arc<[Arc<SessionHandle>]>,
    /// First session that no worker has taken.
    next: AtomicUsize,
}

/// Sends the queues of sessions, as far as the kernel takes them at once. Each session sends the rest in its
/// own turns. Workers that wait take parts of the work; returns when no part is left to take.
pub(super) fn flush_all(sessions: Arc<[Arc<SessionHandle>]>, readiness: &ReadinessSet) {
    let parts = sessions.len().div_ceil(PART);
    let helpers = parts.saturating_sub(1).min(readiness.waiting_workers());
    let flush = Arc::new(Flush { sessions, next: AtomicUsize::new(0) });
    if helpers > 0 {
        let task: Arc<dyn Task> = Arc::clone(&flush) as _;
        readiness.schedule_task(&task, helpers);
    }
    while flush.send_part() {}
}

impl Flush {
    /// Sends the queues of one part. Returns whether another part is left.
    fn send_part(&self) -> bool {
        let first = self.next.fetch_add(PART, Relaxed);
        let end = (first + PART).min(self.sessions.len());
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
