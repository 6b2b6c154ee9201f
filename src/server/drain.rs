//! The drain: from the stop request until the registry of sessions is empty or the drain time-out has passed.

use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use log::{Level, info, warn};

use super::reject_reason::{RejectReason, log_early_response};
use super::session_timers::SessionTimers;
use super::supervisor::{Supervisor, abort};
use crate::config::Config;
use crate::session::handle::SessionHandle;
use crate::transport::phase::Phase;
use crate::transport::termination::TerminationReason;

/// Time after the drain deadline for workers to notice that their sockets were shut down. A worker notices it
/// after the message that it inflates or deflates. README.md gives this time.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// Least time from the stop request to the drain if another process accepts from the same socket: requests of
/// connections that this process has accepted are served, not rejected.
const HAND_OVER_DELAY: Duration = Duration::from_millis(500);

/// Time after the begin of the drain for a request to come, so that its 503 is a response: some proxies take
/// one that comes before the request for an error of the server. Then 503 is sent to connections in their
/// handshake.
const OPENING_GRACE: Duration = Duration::from_millis(500);

impl Supervisor {
    /// Announces the stop: `/readyz` responds 503 from now on, so that a balancer sends no further clients.
    /// Returns the time to the drain, for which the server goes on accepting and serving. It stops accepting
    /// from shared sockets at once.
    pub(super) fn announce_stop(&mut self) -> Duration {
        self.state.stopping.store(true, SeqCst);
        let shared = self.listeners.extract_if(.., |listener| listener.is_shared());
        let has_shared = shared.map(|listener| listener.interrupt()).count() > 0;
        let delay = self.state.config.shutdown_delay;
        let delay = if has_shared { delay.max(HAND_OVER_DELAY) } else { delay };
        if !delay.is_zero() {
            info!("shutting down in {} s: /readyz responds 503", delay.as_secs_f64());
        }
        if let Some(manager) = &self.service_manager {
            manager.stopping();
        }
        delay
    }

    /// Starts the drain: rejects queued connections with 503, sends Close 1001 or 1012 to every session, at
    /// once or at its time, and ends the accept loops. [`continue_drain`](Self::continue_drain) sends the
    /// Close to connections that become sessions later.
    pub(super) fn begin_drain(&mut self, now: Instant) {
        let timeout = self.state.config.drain_timeout;
        let sessions = self.sessions.len();
        info!(sessions; "shutting down: {sessions} sessions, drain timeout {} s", timeout.as_secs_f64());
        self.state.draining.store(true, SeqCst);
        self.spread_closes(now);
        self.drain_deadline = Some(now.checked_add(timeout).unwrap_or(now + Config::MAX_TIMEOUT));
        self.drain_began = Some(now);
        self.state.admission.close();
        self.continue_drain(now);
        // `drain` drops the supervisor's clone of each listener, so that the listener closes when its loop
        // ends.
        for listener in self.listeners.drain(..) {
            listener.interrupt();
        }
    }

    /// Gives each open session a time for its Close, evenly over the drain spread.
    fn spread_closes(&mut self, now: Instant) {
        let spread = self.state.config.drain_spread.min(self.state.config.drain_timeout);
        if spread.is_zero() {
            return;
        }
        let is_open = |timers: &&SessionTimers| timers.handle.phase() == Phase::Open;
        let open: Vec<_> = self.sessions.values().filter(is_open).map(|timers| timers.handle.id()).collect();
        let count = u32::try_from(open.len()).unwrap_or(u32::MAX).max(1);
        let step = spread / count;
        self.close_times = open.into_iter().zip(0..).map(|(id, n)| (id, now + step * n)).collect();
    }

    /// Sends the shutdown notice to sessions whose time has come and to which it was not sent. After the
    /// drain deadline, aborts all sessions.
    pub(super) fn continue_drain(&mut self, now: Instant) {
        let Some(deadline) = self.drain_deadline else { return };
        let expired = now >= deadline;
        let served_by = &*self.state.config.name;
        let reason =
            if self.state.config.restart { TerminationReason::Restart } else { TerminationReason::Shutdown };
        let openings_over = expired || self.drain_began.is_some_and(|begin| now - begin >= OPENING_GRACE);
        for (id, timers) in &mut self.sessions {
            let opening = timers.handle.phase() == Phase::Handshake && !timers.handle.is_queued();
            if opening && !openings_over {
                continue;
            }
            if !expired && self.close_times.get(id).is_some_and(|time| now < *time) {
                continue;
            }
            if expired || notify_shutdown(&timers.handle, reason, served_by).is_err() {
                timers.handle.set_termination_reason(reason);
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

/// Sends the shutdown notice without blocking: the Close of `reason` to an open session, 503 to a connection
/// in its handshake. Does nothing if a Close or a response was already sent.
fn notify_shutdown(handle: &SessionHandle, reason: TerminationReason, served_by: &str) -> io::Result<()> {
    match handle.phase() {
        Phase::Handshake => {
            let response = RejectReason::ShuttingDown.response();
            let sent = handle.respond(&response.to_bytes(false, served_by), TerminationReason::Shutdown)?;
            // A queued connection logs the response with its request.
            if sent && !handle.is_queued() && handle.counters().reads.get() > 0 {
                log_early_response(Level::Info, handle, &response);
            }
        }
        Phase::Open => {
            handle.terminate(reason)?;
        }
        Phase::Closing | Phase::Failed | Phase::Lingering | Phase::Aborted => {}
    }
    Ok(())
}
