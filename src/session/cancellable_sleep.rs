//! The pause of a worker whose behaviour holds something back.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Where a worker waits without reading, until its time is over or its session has been ended from outside.
///
/// A worker usually blocks in its own socket and nowhere else, with a time-out on the read where it has to keep
/// time. That does not do where the point is *not* to read, so that a peer that sends too fast is held back by its
/// own TCP connection: unread bytes make every read and every `poll(2)` return at once.
#[derive(Debug, Default)]
pub(crate) struct CancellableSleep {
    /// The session has been ended.
    cancelled: Mutex<bool>,
    /// Tells the worker.
    signal: Condvar,
    /// The worker is here.
    sleeping: AtomicBool,
}

impl CancellableSleep {
    /// Waits. Returns whether the session was ended meanwhile, or before.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        self.sleeping.store(true, Relaxed);
        let cancelled = self.cancelled.lock().unwrap_or_else(PoisonError::into_inner);
        let (cancelled, _) = self
            .signal
            .wait_timeout_while(cancelled, time, |cancelled| !*cancelled)
            .unwrap_or_else(PoisonError::into_inner);
        self.sleeping.store(false, Relaxed);
        *cancelled
    }

    /// Ends this pause and all later ones.
    pub(crate) fn cancel(&self) {
        *self.cancelled.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.signal.notify_all();
    }

    /// Whether the worker pauses now.
    pub(crate) fn is_sleeping(&self) -> bool {
        self.sleeping.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::*;

    #[test]
    fn an_end_wakes_a_pause_and_forbids_the_next() {
        let sleep = CancellableSleep::default();
        assert!(!sleep.wait(Duration::from_millis(1)));
        let since = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| sleep.cancel());
            assert!(sleep.wait(Duration::from_mins(1)));
        });
        assert!(sleep.wait(Duration::from_mins(1)));
        assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    }
}
