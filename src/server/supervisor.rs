//! The supervisor: one thread that owns the registry of open sessions, the clock and the totals.
//!
//! It never blocks on a session: it posts to outboxes without waiting, and cuts what does not move.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select, tick};
use log::{info, warn};
use tungstenite::protocol::frame::coding::{Control, OpCode};

use super::admission::Admission;
use super::listener::AcceptInterrupt;
use super::rejector::{RejectReason, Rejector};
use super::session_timers::{SessionTimers, TimeoutAction};
use super::shutdown::ShutdownSignal;
use super::state::{Event, ServerState, SessionReport};
use crate::http::response::Response;
use crate::metrics::snapshot::{Snapshot, Traffic};
use crate::metrics::summary::Summary;
use crate::session::handle::SessionHandle;
use crate::transport::connection::Phase;
use crate::transport::termination::TerminationReason;
use crate::transport::try_send::TrySend;
use crate::transport::write_queue::single_frame_header;

/// How often a session whose writer was busy is tried again during the drain, and how soon the end is noticed.
const DRAIN_TICK: Duration = Duration::from_millis(10);

/// How often a line of totals is logged while anything happens.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// For how long events gather once there is one. Nobody waits for them, and to be woken for each in a storm of
/// connections costs the sessions more than to tell of it: a fifth of all that opening them takes.
const EVENT_BATCH_DELAY: Duration = Duration::from_millis(1);

/// Everything the supervisor knows.
pub(crate) struct Supervisor {
    /// What it shares with the sessions.
    pub(super) state: Arc<ServerState>,
    /// What the sessions tell it.
    pub(super) events: Receiver<Event>,
    /// Who waits for a worker.
    pub(super) admission: Arc<Admission>,
    /// Where those go who waited too long.
    pub(super) rejector: Rejector,
    /// Wakes the accept loops; used once.
    pub(super) interrupts: Vec<AcceptInterrupt>,
    /// Accept loops that have not ended.
    pub(super) listeners: usize,
    /// The registry: sessions that have opened and not closed.
    pub(super) sessions: HashMap<u64, SessionTimers>,
    /// What has been counted, less the traffic of the sessions that are open.
    totals: Snapshot,
    /// When the server started.
    started: Instant,
    /// When the last line of totals was logged, and what it said.
    reported: (Instant, Snapshot),
    /// When the sessions that are left are cut, once the server has been asked to stop.
    pub(super) drain_deadline: Option<Instant>,
}

impl Supervisor {
    /// A supervisor of a server that is about to accept.
    pub(crate) fn new(
        state: Arc<ServerState>,
        events: Receiver<Event>,
        admission: Arc<Admission>,
        rejector: Rejector,
        interrupts: Vec<AcceptInterrupt>,
    ) -> Self {
        let now = Instant::now();
        Self {
            state,
            events,
            admission,
            rejector,
            listeners: interrupts.len(),
            interrupts,
            sessions: HashMap::new(),
            totals: Snapshot::default(),
            started: now,
            reported: (now, Snapshot::default()),
            drain_deadline: None,
        }
    }

    /// Watches over the sessions until the server has been asked to stop, and has stopped.
    pub(crate) fn run(mut self, stop: &ShutdownSignal) -> Summary {
        let never = never();
        let mut asked = stop.receiver();
        let mut ticks = tick(self.state.config.tick());
        let events = self.events.clone();
        while !self.has_stopped() {
            select! {
                recv(events) -> event => {
                    thread::sleep(EVENT_BATCH_DELAY);
                    for event in event.into_iter().chain(events.try_iter().take(events.len())) {
                        self.note(event);
                    }
                }
                recv(ticks) -> _ => self.tick(Instant::now()),
                recv(asked) -> _ => {
                    asked = &never;
                    ticks = tick(DRAIN_TICK);
                    self.begin_drain(Instant::now());
                }
            }
        }
        self.totals = self.count(Instant::now());
        Summary { totals: self.totals }
    }

    /// Takes note of what a session says.
    fn note(&mut self, event: Event) {
        match event {
            Event::Opened(session) => self.note_opened(session),
            Event::Closed(report) => self.note_closed(&report),
            Event::Refused(reason) => self.note_rejected(reason),
            Event::ListenerDone => self.listeners -= 1,
        }
    }

    /// A worker has taken a connection.
    fn note_opened(&mut self, session: Arc<SessionHandle>) {
        self.totals.accepted += 1;
        let timers = SessionTimers::new(session, Instant::now());
        self.sessions.insert(timers.session.id(), timers);
        self.totals.peak = self.totals.peak.max(self.sessions.len() as u64);
    }

    /// A worker is done with a connection.
    fn note_closed(&mut self, report: &SessionReport) {
        self.totals.record_end(report.ended.labels(), report.ended.is_clean());
        self.totals.panics += u64::from(report.panicked);
        let Some(timers) = self.sessions.remove(&report.id) else { return };
        self.totals.traffic += Traffic::of(timers.session.counters());
        if report.upgraded {
            self.totals.sessions += 1;
            self.totals.aborted += u64::from(timers.aborted && !report.ended.is_clean());
            self.totals.longest = self.totals.longest.max(timers.opened.elapsed());
        }
    }

    /// A connection was refused.
    pub(super) fn note_rejected(&mut self, reason: RejectReason) {
        *self.totals.refused.entry(reason.label()).or_default() += 1;
    }

    /// Looks at every session, and at those who wait.
    fn tick(&mut self, now: Instant) {
        if let Some(waited) = now.checked_sub(self.state.config.handshake_timeout) {
            for arrival in self.admission.expire(waited) {
                self.note_rejected(RejectReason::WaitedTooLong);
                self.rejector.reject(arrival, RejectReason::WaitedTooLong);
            }
        }
        let draining = self.drain_deadline.is_some();
        for timers in self.sessions.values_mut() {
            // What is owed goes first: behind it there may be no room for what is due.
            if timers.session.writer().try_flush().is_err() {
                abort(timers);
            } else if let Some(due) = timers.poll_timeouts(now, &self.state.config, draining) {
                self.totals.pings_out += u64::from(apply(timers, due, now));
            }
        }
        if draining {
            self.continue_drain(now);
        } else {
            self.publish(now);
        }
    }

    /// Lets scrapers see the totals, and logs them once a minute while anything happens.
    fn publish(&mut self, now: Instant) {
        let snapshot = Arc::new(self.count(now));
        if let Ok(mut published) = self.state.published.lock() {
            *published = Arc::clone(&snapshot);
        }
        let (reported, last) = &self.reported;
        if now - *reported < REPORT_INTERVAL {
            return;
        }
        let (traffic, before) = (&snapshot.traffic, &last.traffic);
        if traffic != before || snapshot.accepted != last.accepted || snapshot.open != last.open {
            info!(
                "{} open, {} accepted, {} waiting; in the last minute {} messages in, {} out",
                snapshot.open,
                snapshot.accepted,
                snapshot.waiting,
                traffic.messages_in - before.messages_in,
                traffic.messages_out - before.messages_out,
            );
        }
        self.reported = (now, Snapshot::clone(&snapshot));
    }

    /// The totals with the sessions that are open.
    fn count(&self, now: Instant) -> Snapshot {
        let mut snapshot = self.totals.clone();
        for timers in self.sessions.values() {
            snapshot.traffic += Traffic::of(timers.session.counters());
        }
        snapshot.pings_out += snapshot.traffic.pings_out;
        snapshot.uptime = now - self.started;
        snapshot.open = self.sessions.len() as u64;
        snapshot.waiting = self.admission.waiting() as u64;
        snapshot
    }
}

/// Does what is due for a session. What finds the outbox busy is due again at the next tick. Returns whether a Ping
/// went out.
fn apply(timers: &mut SessionTimers, due: TimeoutAction, now: Instant) -> bool {
    let session = &timers.session;
    let posted = match due {
        TimeoutAction::HandshakeTimeout => respond_request_timeout(session),
        TimeoutAction::Ping => {
            session.writer().try_send(&single_frame_header(OpCode::Control(Control::Ping)), b"")
        }
        TimeoutAction::KeepaliveTimeout => session.try_close(TerminationReason::Keepalive),
        TimeoutAction::WriteStalled => {
            warn!("#{} {} does not read: cut", session.id(), session.peer());
            session.set_termination_reason(TerminationReason::WriteStalled);
            abort(timers);
            return false;
        }
        TimeoutAction::Overdue => {
            abort(timers);
            return false;
        }
    };
    match (due, posted) {
        (_, Err(_)) => abort(timers),
        (TimeoutAction::Ping, Ok(TrySend::Sent | TrySend::Queued)) => {
            timers.pinged(now);
            return true;
        }
        // Nobody who has shown no sign of life is given the time to answer a Close.
        (_, Ok(TrySend::Sent | TrySend::Queued)) => session.advance_to(Phase::Lingering),
        (_, Ok(TrySend::Busy | TrySend::Closed)) => {}
    }
    false
}

/// Answers 408; a peer that never said anything is just closed.
fn respond_request_timeout(session: &SessionHandle) -> std::io::Result<TrySend> {
    if session.counters().reads.get() == 0 {
        return Err(std::io::ErrorKind::TimedOut.into());
    }
    let answer = Response::text(408, "the request head did not arrive in time");
    session.writer().try_respond(&answer.to_bytes(false), TerminationReason::HandshakeTimeout)
}

/// Cuts a session, once.
pub(super) fn abort(timers: &mut SessionTimers) {
    if !timers.aborted {
        timers.aborted = true;
        timers.session.abort();
    }
}
