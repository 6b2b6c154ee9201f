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
pub(crate) struct Pause {
    /// The session has been ended.
    over: Mutex<bool>,
    /// Tells the worker.
    signal: Condvar,
    /// The worker is here.
    on: AtomicBool,
}

impl Pause {
    /// Waits. Returns whether the session was ended meanwhile, or before.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        self.on.store(true, Relaxed);
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let (over, _) =
            self.signal.wait_timeout_while(over, time, |over| !*over).unwrap_or_else(PoisonError::into_inner);
        self.on.store(false, Relaxed);
        *over
    }

    /// Ends this pause and all later ones.
    pub(crate) fn end(&self) {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.signal.notify_all();
    }

    /// Whether the worker pauses now.
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::*;

    #[test]
    fn an_end_wakes_a_pause_and_forbids_the_next() {
        let pause = Pause::default();
        assert!(!pause.wait(Duration::from_millis(1)));
        let since = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| pause.end());
            assert!(pause.wait(Duration::from_mins(1)));
        });
        assert!(pause.wait(Duration::from_mins(1)));
        assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    }
}
