//! A sleep of the worker that another thread can cancel.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Lets a worker wait without reading from its socket, until a time-out or until the session is terminated.
///
/// For a worker that must not read, so that TCP flow control slows the peer down. Waiting in a read with a time-out is
/// not possible then: unread bytes make every read and every `poll(2)` return at once.
#[derive(Debug, Default)]
pub(crate) struct CancellableSleep {
    /// Whether the session was terminated.
    cancelled: Mutex<bool>,
    /// Notified when `cancelled` becomes true.
    signal: Condvar,
    /// Whether the worker is inside `wait`.
    sleeping: AtomicBool,
}

impl CancellableSleep {
    /// Blocks for `duration`, or until [`cancel`](Self::cancel) was called. Returns whether it was called.
    pub(crate) fn wait(&self, duration: Duration) -> bool {
        self.sleeping.store(true, Relaxed);
        let cancelled = self.cancelled.lock().unwrap_or_else(PoisonError::into_inner);
        let (cancelled, _) = self
            .signal
            .wait_timeout_while(cancelled, duration, |cancelled| !*cancelled)
            .unwrap_or_else(PoisonError::into_inner);
        self.sleeping.store(false, Relaxed);
        *cancelled
    }

    /// Ends the current and all later sleeps.
    pub(crate) fn cancel(&self) {
        *self.cancelled.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.signal.notify_all();
    }

    /// Returns whether the worker is sleeping now.
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
    fn cancel_ends_the_current_and_all_later_sleeps() {
        let sleep = CancellableSleep::default();
        assert!(!sleep.wait(Duration::from_millis(1)));
        let start = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| sleep.cancel());
            assert!(sleep.wait(Duration::from_mins(1)));
        });
        assert!(sleep.wait(Duration::from_mins(1)));
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }
}
