//! The request to stop: one fact, told to everyone at once.
//!
//! That everyone *has* stopped is another fact, and the supervisor's to prove (see the crate documentation).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

/// A handle through which any thread may ask a server to stop. Clones speak of the same server.
#[derive(Clone, Debug)]
pub struct ShutdownSignal {
    shared: Arc<Shared>,
}

/// What the clones share.
#[derive(Debug)]
struct Shared {
    /// Read by whoever only passes by: the accept loop, a worker about to take another connection.
    requested: AtomicBool,
    /// Wakes the supervisor. One place is enough: the first request is the only one that counts.
    sender: Sender<()>,
    /// The supervisor's end.
    receiver: Receiver<()>,
}

impl ShutdownSignal {
    /// A handle that nobody has used yet.
    #[must_use]
    pub fn new() -> Self {
        let (sender, receiver) = bounded(1);
        Self { shared: Arc::new(Shared { requested: AtomicBool::new(false), sender, receiver }) }
    }

    /// Asks the server to stop. Never blocks and never panics, so a signal handler may call it.
    ///
    /// Returns whether this was the first request; later ones change nothing.
    #[expect(clippy::must_use_candidate, reason = "most callers do not care who was first")]
    pub fn request(&self) -> bool {
        let first = !self.shared.requested.swap(true, Ordering::SeqCst);
        // Full means that the supervisor has not looked yet: it will.
        let _ = self.shared.sender.try_send(());
        first
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.shared.requested.load(Ordering::SeqCst)
    }

    /// Where the supervisor waits for the request.
    pub(crate) fn receiver(&self) -> &Receiver<()> {
        &self.shared.receiver
    }
}

impl Default for ShutdownSignal {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_request_is_the_first() {
        let stop = ShutdownSignal::new();
        assert!(!stop.is_requested());
        assert!(stop.clone().request());
        assert!(!stop.request());
        assert!(stop.is_requested());
        assert_eq!(stop.receiver().len(), 1, "a second request must not queue up");
    }
}
