//! What the clock says about one session: a function of time and of the session's counters, and nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::session::handle::SessionHandle;
use crate::transport::connection::Phase;

/// How long a peer that has been told everything may take to end its side.
const LINGER: Duration = Duration::from_secs(1);

/// A session in the registry, and when the supervisor last saw its counters move.
#[derive(Debug)]
pub(super) struct SessionTimers {
    /// The session.
    pub(super) session: Arc<SessionHandle>,
    /// When it began.
    pub(super) opened: Instant,
    /// How far it had come at the last look.
    phase: Phase,
    /// Since when it has been there.
    since: Instant,
    /// Its count of reads at the last look.
    reads: u64,
    /// When that count last moved.
    heard: Instant,
    /// When a Ping went out that nothing has been heard after.
    pinged: Option<Instant>,
    /// Its count of writes at the last look.
    progress: u64,
    /// Since when something has waited to be written and nothing moved.
    stalled: Option<Instant>,
    /// Whether the supervisor has cut it.
    pub(super) aborted: bool,
}

/// What is due for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeoutAction {
    /// Its request head is late: answer 408.
    HandshakeTimeout,
    /// It has been silent: send a Ping.
    Ping,
    /// It has been silent after the Ping: close with 1011.
    KeepaliveTimeout,
    /// Its peer does not read: cut.
    WriteStalled,
    /// Its peer does not answer a Close, or does not end its side: cut.
    Overdue,
}

impl SessionTimers {
    /// A session that has just opened.
    pub(super) fn new(session: Arc<SessionHandle>, now: Instant) -> Self {
        Self {
            session,
            opened: now,
            phase: Phase::Handshake,
            since: now,
            reads: 0,
            heard: now,
            pinged: None,
            progress: 0,
            stalled: None,
            aborted: false,
        }
    }

    /// Looks at the session: what is due by now? While the server drains, what a session may take is a matter of
    /// the drain deadline alone, except for its last second.
    pub(super) fn poll_timeouts(
        &mut self,
        now: Instant,
        config: &Config,
        draining: bool,
    ) -> Option<TimeoutAction> {
        self.observe(now);
        if self.stalled.is_some_and(|since| now - since >= config.write_timeout) {
            return Some(TimeoutAction::WriteStalled);
        }
        let in_phase = now - self.since;
        match self.phase {
            Phase::Lingering => (in_phase >= LINGER).then_some(TimeoutAction::Overdue),
            _ if draining => None,
            Phase::Handshake => {
                (in_phase >= config.handshake_timeout).then_some(TimeoutAction::HandshakeTimeout)
            }
            Phase::Open => self.keepalive(now, config),
            Phase::Closing => (in_phase >= config.close_timeout).then_some(TimeoutAction::Overdue),
        }
    }

    /// A Ping went out.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.pinged = Some(now);
    }

    /// Notes which counters have moved.
    fn observe(&mut self, now: Instant) {
        let phase = self.session.phase();
        if phase != self.phase {
            self.phase = phase;
            self.since = now;
        }
        let reads = self.session.counters().reads.get();
        if reads != self.reads {
            self.reads = reads;
            self.heard = now;
            self.pinged = None;
        } else if self.session.sleeper().is_sleeping() && self.pinged.is_some() {
            // A worker that pauses on purpose does not read, and its peer is not to blame for what is unread. It is
            // pinged again and again instead: one that has gone answers with a reset.
            self.heard = now;
            self.pinged = None;
        }
        let writer = self.session.writer();
        let progress = writer.progress();
        let waits = writer.is_writing() || writer.has_unsent();
        if !waits {
            self.stalled = None;
        } else if self.stalled.is_none() || progress != self.progress {
            self.stalled = Some(now);
        }
        self.progress = progress;
    }

    /// What silence calls for.
    fn keepalive(&self, now: Instant, config: &Config) -> Option<TimeoutAction> {
        match self.pinged {
            Some(at) => (now - at >= config.pong_timeout).then_some(TimeoutAction::KeepaliveTimeout),
            None if config.ping_interval.is_zero() => None,
            None => (now - self.heard >= config.ping_interval).then_some(TimeoutAction::Ping),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;
    use crate::transport::record_layer::RecordLayer;

    fn timers(now: Instant) -> SessionTimers {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = socket.peer_addr().unwrap();
        SessionTimers::new(Arc::new(SessionHandle::new(1, peer, socket, RecordLayer::Plain)), now)
    }

    #[test]
    fn a_late_head_is_due_at_its_deadline_and_not_before() {
        let (start, config) = (Instant::now(), Config::default());
        let mut timers = timers(start);
        let deadline = start + config.handshake_timeout;
        assert_eq!(timers.poll_timeouts(start, &config, false), None);
        assert_eq!(timers.poll_timeouts(deadline, &config, false), Some(TimeoutAction::HandshakeTimeout));
        assert_eq!(timers.poll_timeouts(deadline, &config, true), None, "a drain has its own deadline");
    }

    #[test]
    fn silence_is_pinged_and_then_closed_and_a_byte_resets_both() {
        let (start, config) = (Instant::now(), Config::default());
        let mut timers = timers(start);
        timers.session.mark_upgraded();
        assert_eq!(timers.poll_timeouts(start, &config, false), None);
        let silent = start + config.ping_interval;
        assert_eq!(timers.poll_timeouts(silent, &config, false), Some(TimeoutAction::Ping));
        timers.pinged(silent);
        let given_up = silent + config.pong_timeout;
        assert_eq!(timers.poll_timeouts(given_up, &config, false), Some(TimeoutAction::KeepaliveTimeout));
        timers.session.counters().reads.add(1);
        assert_eq!(timers.poll_timeouts(given_up, &config, false), None);
        assert_eq!(
            timers.poll_timeouts(given_up + config.ping_interval, &config, false),
            Some(TimeoutAction::Ping)
        );
    }

    #[test]
    fn no_ping_is_due_when_they_are_turned_off() {
        let start = Instant::now();
        let config = Config { ping_interval: Duration::ZERO, ..Config::default() };
        let mut timers = timers(start);
        timers.session.mark_upgraded();
        assert_eq!(timers.poll_timeouts(start + Duration::from_hours(1), &config, false), None);
    }

    #[test]
    fn who_was_told_everything_has_a_second_to_go() {
        let (start, config) = (Instant::now(), Config::default());
        let mut timers = timers(start);
        timers.session.advance_to(Phase::Lingering);
        assert_eq!(timers.poll_timeouts(start, &config, true), None);
        assert_eq!(timers.poll_timeouts(start + LINGER, &config, true), Some(TimeoutAction::Overdue));
    }
}
