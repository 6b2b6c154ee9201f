//! The drain: from the request to stop until the registry is empty.

use std::time::{Duration, Instant};

use log::{info, warn};

use super::{Supervisor, cut};
use crate::config::Config;
use crate::handle::{Phase, SessionHandle};
use crate::refusal::Reason;
use crate::transport::outbox::Posted;
use crate::verdict::Verdict;

/// How often a session whose outbox was busy is tried again, and how soon the end is noticed.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// How long workers may take to notice that their sessions were cut.
const GRACE: Duration = Duration::from_secs(1);

/// A drain in progress.
#[derive(Debug)]
pub(super) struct Drain {
    /// When the sessions that are left are cut.
    deadline: Instant,
}

impl Supervisor {
    /// Somebody asked the server to stop: nobody is let in, and everybody is told.
    pub(super) fn begin_drain(&mut self, now: Instant) {
        info!(
            "stopping: {} open, at most {:.1?} for them to close",
            self.sessions.len(),
            self.drain_timeout()
        );
        let deadline = now.checked_add(self.drain_timeout()).unwrap_or(now + Config::LONGEST_WAIT);
        self.drain = Some(Drain { deadline });
        for arrival in self.admission.close() {
            self.note_refused(Reason::Stopping);
            self.lane.refuse(arrival, Reason::Stopping);
        }
        self.go_on_draining(now);
        // Gone with their wakers, the listeners close as soon as their loops have ended. Last, because to wake one may
        // take a while.
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }

    /// Tells those who could not be told before; past the deadline, cuts those who are left.
    pub(super) fn go_on_draining(&mut self, now: Instant) {
        let Some(drain) = &self.drain else { return };
        let overdue = now >= drain.deadline;
        for watch in self.sessions.values_mut() {
            if overdue || tell(&watch.session).is_err() {
                watch.session.judge(Verdict::Stop);
                cut(watch);
            }
        }
    }

    /// Whether the server has been asked to stop and nothing of it is left. Gives up on workers that do not notice
    /// that their sessions were cut.
    pub(super) fn has_stopped(&self) -> bool {
        let Some(drain) = &self.drain else { return false };
        // In this order: a worker tells of its last session before it gives its place back.
        let empty = self.admission.busy() == 0 && self.events.is_empty() && self.sessions.is_empty();
        if empty && self.listeners == 0 {
            return true;
        }
        let given_up = Instant::now() >= drain.deadline + GRACE;
        if given_up {
            warn!("{} workers did not stop in time", self.admission.busy());
        }
        given_up
    }

    /// How long the sessions have.
    fn drain_timeout(&self) -> Duration {
        self.context.config.drain_timeout
    }
}

/// Tells a session that the server stops, if it has not been told: 503 in its handshake, Close 1001 after it.
fn tell(session: &SessionHandle) -> std::io::Result<()> {
    let outbox = session.outbox();
    let (posted, next) = match session.phase() {
        Phase::Handshake => {
            let answer = Reason::Stopping.answer().to_bytes(false);
            (outbox.post_answer(&answer, Verdict::Stop)?, Phase::Lingering)
        }
        Phase::Open => (session.post_close(Verdict::Stop)?, Phase::Closing),
        Phase::Closing | Phase::Lingering => return Ok(()),
    };
    if matches!(posted, Posted::Sent | Posted::Queued) {
        session.reach(next);
    }
    Ok(())
}
