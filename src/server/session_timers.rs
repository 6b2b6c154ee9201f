//! The timers of one session: what is due, as a function of the time and of the session's counters.
//!
//! | time-out | from | to |
//! |---|---|---|
//! | handshake time-out | the accept | the request head |
//! | handshake time-out | the request head, if it waits for a place | the place |
//! | ping interval | the last read that returned bytes | the Ping |
//! | pong time-out | the Ping | Close 1011 |
//! | message time-out | the first byte of a message, while the session waits for the rest | Close 1008 |
//! | idle time-out | the last message, or the 101 | Close 1001 |
//! | maximum session age | the 101 | Close 1001 |
//! | write time-out | the last byte that the kernel took | abort of a peer that does not read |
//! | close time-out | the Close; after one for an error, the end of the sending half | abort |
//! | [`LINGER_TIMEOUT`](super::close_timeout::LINGER_TIMEOUT) | the end of the sending half | abort |
//!
//! The supervisor polls the timers at each tick, those of open sessions, if there are many, at intervals of
//! [`Config::open_poll`]: then a close time-out begins up to half of it late. The time between two ticks is a
//! fifth of the shortest time-out, 10 ms to 1 s ([`Config::tick`]), and 10 ms during the drain.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::close_timeout::close_timeout;
use crate::config::Config;
use crate::metrics::snapshot::Traffic;
use crate::session::handle::SessionHandle;
use crate::transport::phase::Phase;
use crate::transport::termination::TerminationReason;
use crate::transport::waiting::Waiting;

/// A session in the supervisor's registry, and what the last poll saw of it.
#[derive(Debug)]
pub(super) struct SessionTimers {
    pub(super) handle: Arc<SessionHandle>,
    /// When the session was registered.
    pub(super) opened_at: Instant,
    phase: Phase,
    /// Whether the request waits for a place.
    queued: bool,
    /// When `phase` or `queued` last changed.
    phase_since: Instant,
    /// Count of reads that returned bytes.
    reads: u64,
    /// When `reads` last changed.
    last_read_at: Instant,
    /// When the last Ping was sent, if nothing was read since.
    ping_sent_at: Option<Instant>,
    /// The writer's progress counter.
    write_progress: u64,
    /// Since when bytes have waited for the peer and `write_progress` has not changed.
    write_blocked_since: Option<Instant>,
    /// Count of received messages.
    messages: u64,
    /// When `messages` last changed, or the session was opened.
    last_message_at: Instant,
    /// What the session waited for when it last did.
    waiting: Waiting,
    /// How long the session has waited for the rest of what `waiting` names.
    unfinished_for: Duration,
    observed_at: Instant,
    /// When the supervisor looks at the session next, if there are many.
    next_poll: Instant,
    /// The traffic that the totals include.
    counted: Traffic,
    /// The supervisor has aborted the session.
    pub(super) aborted: bool,
}

/// What a time-out requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeoutAction {
    /// The handshake time-out has passed: send 408.
    HandshakeTimeout,
    /// The request has waited for a place for the handshake time-out: send 503.
    QueueTimeout,
    /// The ping interval has passed: send a Ping.
    SendPing,
    /// The pong time-out has passed: send Close 1011.
    KeepaliveTimeout,
    /// The idle time-out, the message time-out or the maximum age has passed: send the Close of this reason.
    Close(TerminationReason),
    /// The write time-out has passed, the peer does not read: abort.
    WriteTimeout,
    /// The close time-out or the linger time-out has passed: abort.
    CloseTimeout,
}

impl SessionTimers {
    /// Starts the timers of a connection that has just got a place.
    pub(super) fn new(handle: Arc<SessionHandle>, now: Instant) -> Self {
        Self {
            handle,
            opened_at: now,
            phase: Phase::Handshake,
            queued: false,
            phase_since: now,
            reads: 0,
            last_read_at: now,
            ping_sent_at: None,
            write_progress: 0,
            write_blocked_since: None,
            messages: 0,
            last_message_at: now,
            waiting: Waiting::NotReading,
            unfinished_for: Duration::ZERO,
            observed_at: now,
            next_poll: now,
            counted: Traffic::default(),
            aborted: false,
        }
    }

    /// Starts all timers again, after a time in which the process did not run.
    pub(super) fn restart(&mut self, now: Instant) {
        self.phase_since = now;
        self.last_read_at = now;
        self.ping_sent_at = self.ping_sent_at.map(|_| now);
        self.write_blocked_since = self.write_blocked_since.map(|_| now);
        self.last_message_at = now;
        self.unfinished_for = Duration::ZERO;
        self.observed_at = now;
    }

    /// Returns whether to look at the session at this tick if there are many. A look at an idle session costs
    /// several accesses to memory that no cache holds, and so would one to its phase.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.next_poll
    }

    /// Returns the traffic since the last call.
    pub(super) fn uncounted_traffic(&mut self) -> Traffic {
        let traffic = Traffic::of(self.handle.counters());
        traffic - std::mem::replace(&mut self.counted, traffic)
    }

    /// Reads the session's counters and returns the action that is due at `now`; none after an abort. During
    /// the drain only the write time-out and those after a Close apply: the drain deadline replaces the
    /// others.
    pub(super) fn poll_timeouts(
        &mut self,
        now: Instant,
        config: &Config,
        draining: bool,
    ) -> Option<TimeoutAction> {
        if self.aborted {
            return None;
        }
        self.observe(now);
        self.next_poll = if self.phase == Phase::Open { now + config.open_poll() } else { now };
        if self.write_blocked_since.is_some_and(|since| now - since >= config.write_timeout) {
            return Some(TimeoutAction::WriteTimeout);
        }
        let in_phase = now - self.phase_since;
        match self.phase {
            phase @ (Phase::Closing | Phase::Failed | Phase::Lingering) => {
                close_timeout(&self.handle, phase, config, draining)
                    .is_some_and(|timeout| in_phase >= timeout)
                    .then_some(TimeoutAction::CloseTimeout)
            }
            _ if draining => None,
            Phase::Handshake => (in_phase >= config.handshake_timeout).then_some(if self.queued {
                TimeoutAction::QueueTimeout
            } else {
                TimeoutAction::HandshakeTimeout
            }),
            Phase::Open => self
                .limit_exceeded(now, config)
                .map(TimeoutAction::Close)
                .or_else(|| self.keepalive(now, config)),
            Phase::Aborted => None,
        }
    }

    /// Starts the pong time-out.
    pub(super) fn record_ping(&mut self, now: Instant) {
        self.ping_sent_at = Some(now);
    }

    /// Updates the fields from the session's counters.
    fn observe(&mut self, now: Instant) {
        let phase = self.handle.phase();
        let queued = self.handle.is_queued();
        if phase != self.phase || queued != self.queued {
            self.queued = queued;
            self.phase = phase;
            self.phase_since = now;
            self.last_message_at = now;
        }
        self.observe_messages(now);
        let reads = self.handle.counters().reads.get();
        // A session that does not read leaves the Pong unread. Another Ping is sent after each ping interval
        // instead: if the peer's process has ended, its kernel replies with RST.
        let not_reading = self.handle.waiting() == Some(Waiting::NotReading) && self.ping_sent_at.is_some();
        if reads != self.reads || not_reading {
            self.reads = reads;
            self.last_read_at = now;
            self.ping_sent_at = None;
        }
        let writer = self.handle.writer();
        let write_progress = writer.progress();
        if !writer.has_unsent() {
            self.write_blocked_since = None;
        } else if self.write_blocked_since.is_none() || write_progress != self.write_progress {
            self.write_blocked_since = Some(now);
        }
        self.write_progress = write_progress;
    }

    /// Updates the fields for [`limit_exceeded`](Self::limit_exceeded).
    fn observe_messages(&mut self, now: Instant) {
        let messages = self.handle.counters().messages_in.get();
        if messages != self.messages {
            self.messages = messages;
            self.last_message_at = now;
        }
        let elapsed = now - std::mem::replace(&mut self.observed_at, now);
        match self.handle.waiting() {
            // The time in which the session does not read, or waits for a worker, is not the client's.
            None | Some(Waiting::NotReading) => {}
            Some(waiting) if waiting == self.waiting && waiting != Waiting::BetweenMessages => {
                self.unfinished_for += elapsed;
            }
            Some(waiting) => {
                self.waiting = waiting;
                self.unfinished_for = Duration::ZERO;
            }
        }
    }

    /// Returns which limit of an open session has been exceeded.
    fn limit_exceeded(&self, now: Instant, config: &Config) -> Option<TerminationReason> {
        let exceeds = |elapsed: Duration, limit: Duration| !limit.is_zero() && elapsed >= limit;
        if exceeds(now - self.phase_since, config.max_session_age) {
            Some(TerminationReason::MaxAge)
        } else if exceeds(self.unfinished_for, config.message_timeout) {
            Some(TerminationReason::MessageTimeout)
        } else if self.waiting == Waiting::BetweenMessages
            && exceeds(now - self.last_message_at, config.idle_timeout)
        {
            Some(TerminationReason::Idle)
        } else {
            None
        }
    }

    /// Returns the action of the ping interval or of the pong time-out, if one has passed.
    fn keepalive(&self, now: Instant, config: &Config) -> Option<TimeoutAction> {
        match self.ping_sent_at {
            Some(at) => (now - at >= config.pong_timeout).then_some(TimeoutAction::KeepaliveTimeout),
            None if config.ping_interval.is_zero() => None,
            // Behind bytes that the peer does not take, a Ping would reach it too late.
            None if self.handle.writer().has_unsent() => None,
            None => (now - self.last_read_at >= config.ping_interval).then_some(TimeoutAction::SendPing),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;
    use crate::platform::memory_budget::MemoryBudget;
    use crate::platform::readiness::ReadinessSet;
    use crate::server::close_timeout::LINGER_TIMEOUT;

    fn timers(now: Instant) -> SessionTimers {
        timers_and_listener(now).0
    }

    /// Returns the timers of a connection, and the listener that keeps the other end.
    fn timers_and_listener(now: Instant) -> (SessionTimers, TcpListener) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = socket.peer_addr().unwrap();
        socket.set_nonblocking(true).unwrap();
        let readiness = Arc::new(ReadinessSet::new().unwrap());
        let handle =
            SessionHandle::new(1, peer.into(), socket.into(), readiness, &MemoryBudget::new(usize::MAX));
        handle.connection().set_waiting(Waiting::BetweenMessages);
        (SessionTimers::new(Arc::new(handle), now), listener)
    }

    #[test]
    fn handshake_timeout_is_due_at_its_deadline_and_not_during_the_drain() {
        let (start, config) = (Instant::now(), Config::default());
        let mut timers = timers(start);
        let deadline = start + config.handshake_timeout;
        assert_eq!(timers.poll_timeouts(start, &config, false), None);
        assert_eq!(timers.poll_timeouts(deadline, &config, false), Some(TimeoutAction::HandshakeTimeout));
        assert_eq!(timers.poll_timeouts(deadline, &config, true), None);
    }

    #[test]
    fn keepalive_sends_a_ping_then_closes_and_a_read_resets_both() {
        let (start, config) = (Instant::now(), Config::default());
        let mut timers = timers(start);
        timers.handle.advance_to(Phase::Open);
        assert_eq!(timers.poll_timeouts(start, &config, false), None);
        let ping_due = start + config.ping_interval;
        assert_eq!(timers.poll_timeouts(ping_due, &config, false), Some(TimeoutAction::SendPing));
        timers.record_ping(ping_due);
        let close_due = ping_due + config.pong_timeout;
        assert_eq!(timers.poll_timeouts(close_due, &config, false), Some(TimeoutAction::KeepaliveTimeout));
        timers.handle.counters().reads.add(1);
        assert_eq!(timers.poll_timeouts(close_due, &config, false), None);
        let next_ping_due = close_due + config.ping_interval;
        assert_eq!(timers.poll_timeouts(next_ping_due, &config, false), Some(TimeoutAction::SendPing));
    }

    #[test]
    fn restarted_timers_are_due_after_their_whole_time() {
        let (start, config) = (Instant::now(), Config::default());
        let mut timers = timers(start);
        timers.handle.advance_to(Phase::Open);
        assert_eq!(timers.poll_timeouts(start, &config, false), None);
        timers.record_ping(start);
        let thawed = start + Duration::from_hours(1);
        timers.restart(thawed);
        assert_eq!(timers.poll_timeouts(thawed, &config, false), None);
        let close_due = thawed + config.pong_timeout;
        assert_eq!(timers.poll_timeouts(close_due, &config, false), Some(TimeoutAction::KeepaliveTimeout));
    }

    #[test]
    fn restarted_timers_of_messages_are_due_after_their_whole_time() {
        let start = Instant::now();
        let limit = Duration::from_mins(1);
        let off =
            Config { ping_interval: Duration::ZERO, message_timeout: Duration::ZERO, ..Config::default() };
        for (waiting, config, reason) in [
            (
                Waiting::Unfinished(1),
                Config { message_timeout: limit, ..off.clone() },
                TerminationReason::MessageTimeout,
            ),
            (Waiting::BetweenMessages, Config { idle_timeout: limit, ..off }, TerminationReason::Idle),
        ] {
            let mut timers = timers(start);
            timers.handle.advance_to(Phase::Open);
            timers.handle.connection().set_waiting(waiting);
            for at in [start, start + limit / 2] {
                assert_eq!(timers.poll_timeouts(at, &config, false), None);
            }
            let thawed = start + Duration::from_hours(1);
            timers.restart(thawed);
            assert_eq!(timers.poll_timeouts(thawed + limit / 2, &config, false), None, "{reason:?}");
            assert_eq!(
                timers.poll_timeouts(thawed + limit, &config, false),
                Some(TimeoutAction::Close(reason))
            );
        }
    }

    #[test]
    fn keepalive_with_interval_zero_sends_no_ping() {
        let start = Instant::now();
        let config = Config { ping_interval: Duration::ZERO, ..Config::default() };
        let mut timers = timers(start);
        timers.handle.advance_to(Phase::Open);
        assert_eq!(timers.poll_timeouts(start + Duration::from_hours(1), &config, false), None);
    }

    #[test]
    fn write_timeout_is_due_once() {
        let (start, config) = (Instant::now(), Config::default());
        let (mut timers, _listener) = timers_and_listener(start);
        let writer = timers.handle.writer();
        writer.queue_upgrade(&vec![0; 1 << 16]).unwrap();
        timers.handle.advance_to(Phase::Open);
        // The peer does not read, so the kernel takes no more bytes at some time.
        while !writer.has_unsent() {
            writer.write_raw_frame(&vec![0; 1 << 15]).unwrap();
            writer.flush().unwrap();
        }
        timers.poll_timeouts(start, &config, false);
        let deadline = start + config.write_timeout;
        assert_eq!(timers.poll_timeouts(deadline, &config, false), Some(TimeoutAction::WriteTimeout));
        timers.aborted = true;
        assert_eq!(timers.poll_timeouts(deadline, &config, false), None);
    }

    #[test]
    fn linger_timeout_aborts_also_during_the_drain() {
        let (start, config) = (Instant::now(), Config::default());
        let mut timers = timers(start);
        timers.handle.advance_to(Phase::Lingering);
        assert_eq!(timers.poll_timeouts(start, &config, true), None);
        let deadline = start + LINGER_TIMEOUT;
        assert_eq!(timers.poll_timeouts(deadline, &config, true), Some(TimeoutAction::CloseTimeout));
    }
}
