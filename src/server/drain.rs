//! The drain: from the stop request until the registry of sessions is empty or the drain time-out has passed.

use std::io;
use std::time::{Duration, Instant};

use log::{info, warn};

use super::rejector::RejectReason;
use super::supervisor::{Supervisor, abort};
use crate::config::Config;
use crate::session::handle::SessionHandle;
use crate::transport::phase::Phase;
use crate::transport::termination::TerminationReason;

/// Time after the drain deadline for workers to notice that their sockets were shut down. A worker notices it after
/// the message that it inflates or deflates. README.md gives this time.
const ABORT_GRACE: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Starts the drain: rejects queued connections with 503, sends Close 1001 to every session, and ends the
    /// accept loops. [`continue_drain`](Self::continue_drain) sends the Close to connections that become sessions
    /// later.
    pub(super) fn begin_drain(&mut self, now: Instant) {
        let timeout = self.state.config.drain_timeout;
        let sessions = self.sessions.len();
        info!(sessions; "shutting down: {sessions} sessions, drain timeout {} s", timeout.as_secs_f64());
        self.drain_deadline = Some(now.checked_add(timeout).unwrap_or(now + Config::MAX_TIMEOUT));
        for connection in self.admission.close() {
            self.reject(connection, RejectReason::ShuttingDown);
        }
        self.continue_drain(now);
        // Last, because a connect may take a while. `drain` drops the supervisor's clone of each listener, so
        // that the listener closes when its loop ends.
        for listener in self.listeners.drain(..) {
            listener.interrupt();
        }
    }

    /// Sends the shutdown notice to sessions to which it was not sent. After the drain deadline, aborts all
    /// sessions.
    pub(super) fn continue_drain(&mut self, now: Instant) {
        let Some(deadline) = self.drain_deadline else { return };
        let expired = now >= deadline;
        let served_by = &*self.state.config.name;
        for timers in self.sessions.values_mut() {
            if expired || notify_shutdown(&timers.handle, served_by).is_err() {
                timers.handle.set_termination_reason(TerminationReason::Shutdown);
                abort(timers);
            }
        }
    }

    /// Returns whether a stop was requested and all accept loops and sessions have ended. Also returns `true`
    /// [`ABORT_GRACE`] after the drain deadline, and logs a warning if sessions still run then.
    pub(super) fn has_stopped(&self) -> bool {
        let Some(deadline) = self.drain_deadline else { return false };
        let sessions = self.sessions.len();
        if sessions == 0 && self.events.is_empty() && self.accept_loops == 0 {
            return true;
        }
        let expired = Instant::now() >= deadline + ABORT_GRACE;
        if expired && sessions > 0 {
            warn!("{sessions} sessions still run after the drain timeout");
        }
        expired
    }
}

/// Sends the shutdown notice without blocking: Close 1001 to an open session, 503 to a connection in its
/// handshake. Does nothing if a Close or a response was already sent.
fn notify_shutdown(handle: &SessionHandle, served_by: &str) -> io::Result<()> {
    match handle.phase() {
        Phase::Handshake => {
            let response = RejectReason::ShuttingDown.response().to_bytes(false, served_by);
            handle.respond(&response, TerminationReason::Shutdown)?;
        }
        Phase::Open => {
            handle.terminate(TerminationReason::Shutdown)?;
        }
        Phase::Closing | Phase::Lingering | Phase::Aborted => {}
    }
    Ok(())
}
