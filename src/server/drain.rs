//! The drain: from the request to stop until the registry is empty.

use std::time::{Duration, Instant};

use log::{info, warn};

use super::rejector::RejectReason;
use super::supervisor::{Supervisor, abort};
use crate::config::Config;
use crate::session::handle::SessionHandle;
use crate::transport::connection::Phase;
use crate::transport::termination::TerminationReason;
use crate::transport::try_send::TrySend;

/// How long workers may take to notice that their sessions were cut.
const GRACE: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Somebody asked the server to stop: nobody is let in, and everybody is told.
    pub(super) fn begin_drain(&mut self, now: Instant) {
        info!(
            "stopping: {} open, at most {:.1?} for them to close",
            self.sessions.len(),
            self.drain_timeout()
        );
        let deadline = now.checked_add(self.drain_timeout()).unwrap_or(now + Config::MAX_TIMEOUT);
        self.drain_deadline = Some(deadline);
        for arrival in self.admission.close() {
            self.note_rejected(RejectReason::Stopping);
            self.rejector.reject(arrival, RejectReason::Stopping);
        }
        self.continue_drain(now);
        // Gone with their wakers, the listeners close as soon as their loops have ended. Last, because to wake one may
        // take a while.
        for interrupt in self.interrupts.drain(..) {
            interrupt.wake();
        }
    }

    /// Tells those who could not be told before; past the deadline, cuts those who are left.
    pub(super) fn continue_drain(&mut self, now: Instant) {
        let Some(deadline) = self.drain_deadline else { return };
        let overdue = now >= deadline;
        for timers in self.sessions.values_mut() {
            if overdue || notify_shutdown(&timers.session).is_err() {
                timers.session.set_termination_reason(TerminationReason::Shutdown);
                abort(timers);
            }
        }
    }

    /// Whether the server has been asked to stop and nothing of it is left. Gives up on workers that do not notice
    /// that their sessions were cut.
    pub(super) fn has_stopped(&self) -> bool {
        let Some(deadline) = self.drain_deadline else { return false };
        // In this order: a worker tells of its last session before it gives its place back.
        let empty = self.admission.busy() == 0 && self.events.is_empty() && self.sessions.is_empty();
        if empty && self.listeners == 0 {
            return true;
        }
        let given_up = Instant::now() >= deadline + GRACE;
        if given_up {
            warn!("{} workers did not stop in time", self.admission.busy());
        }
        given_up
    }

    /// How long the sessions have.
    fn drain_timeout(&self) -> Duration {
        self.state.config.drain_timeout
    }
}

/// Tells a session that the server stops, if it has not been told: 503 in its handshake, Close 1001 after it.
fn notify_shutdown(session: &SessionHandle) -> std::io::Result<()> {
    let writer = session.writer();
    let (posted, next) = match session.phase() {
        Phase::Handshake => {
            let answer = RejectReason::Stopping.answer().to_bytes(false);
            (writer.try_respond(&answer, TerminationReason::Shutdown)?, Phase::Lingering)
        }
        Phase::Open => (session.try_close(TerminationReason::Shutdown)?, Phase::Closing),
        Phase::Closing | Phase::Lingering => return Ok(()),
    };
    if matches!(posted, TrySend::Sent | TrySend::Queued) {
        session.advance_to(next);
    }
    Ok(())
}
