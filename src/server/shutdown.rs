//! The stop request, and the signals that send it.
//!
//! The request sets a flag, which the accept loops read, and wakes the supervisor, which starts the drain.
//! The supervisor determines when all threads have stopped (`drain`).
//!
//! The first SIGINT (Ctrl-C) or SIGTERM requests the stop. A SIGINT after it ends the process at once with
//! exit code 130: it does not wait for the drain and prints no summary (`platform::signals`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::error::Error;
use crate::platform::signals;
use crate::tls::certificate_watch::CertificateWatch;

/// Requests the stop of a server from any thread. Clones refer to the same server.
#[derive(Clone, Debug)]
pub struct ShutdownSignal {
    shared: Arc<Shared>,
}

/// What the clones share.
#[derive(Debug)]
struct Shared {
    /// Read by accept loops.
    requested: AtomicBool,
    /// Wakes the supervisor. Capacity 1: only the first request counts.
    sender: Sender<()>,
    /// The supervisor's end of the channel.
    receiver: Receiver<()>,
}

impl ShutdownSignal {
    /// Creates a signal on which no stop is requested.
    #[must_use]
    pub fn new() -> Self {
        let (sender, receiver) = bounded(1);
        Self { shared: Arc::new(Shared { requested: AtomicBool::new(false), sender, receiver }) }
    }

    /// Requests the stop. Returns whether this was the first request; later ones have no effect. Never blocks
    /// and never panics.
    #[expect(clippy::must_use_candidate, reason = "most callers need not know whether they were first")]
    pub fn request(&self) -> bool {
        let first = !self.shared.requested.swap(true, SeqCst);
        // A full channel holds an earlier request that the supervisor has not received yet.
        let _ = self.shared.sender.try_send(());
        first
    }

    /// Returns whether a stop was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.shared.requested.load(SeqCst)
    }

    /// Returns the channel that receives one value at the first request. Only the supervisor may receive from
    /// it.
    pub(crate) fn receiver(&self) -> &Receiver<()> {
        &self.shared.receiver
    }
}

impl Default for ShutdownSignal {
    fn default() -> Self {
        Self::new()
    }
}

/// Installs the signal handlers of the process. SIGINT (Ctrl-C) and SIGTERM request the stop; a SIGINT after
/// one of them ends the process with exit code 130. SIGHUP requests a reload from `certificate`; without one
/// it only logs a line.
///
/// # Errors
/// [`Error::Signals`] if a handler or the thread `signals` cannot be set up.
pub fn watch_signals(stop: &ShutdownSignal, certificate: Option<CertificateWatch>) -> Result<(), Error> {
    let stop = stop.clone();
    let on_hangup = move || match &certificate {
        Some(certificate) => certificate.request_reload(),
        None => log::info!("SIGHUP ignored: there is no certificate to reload; SIGTERM stops the server"),
    };
    signals::watch(move || stop.request(), on_hangup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shutdown_request_is_first_only_once() {
        let stop = ShutdownSignal::new();
        assert!(!stop.is_requested());
        assert!(stop.clone().request());
        assert!(!stop.request());
        assert!(stop.is_requested());
        assert_eq!(stop.receiver().len(), 1, "a second request must not be queued");
    }
}
