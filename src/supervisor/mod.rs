//! The supervisor: one thread that owns the registry of open sessions, the clock and the totals.
//!
//! It never blocks on a session: it posts to outboxes without waiting, and cuts what does not move.

mod drain;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select, tick};
use log::{info, warn};
use tungstenite::protocol::frame::coding::{Control, OpCode};

use crate::admission::Admission;
use crate::handle::{Phase, SessionHandle};
use crate::http::Answer;
use crate::listener::Waker;
use crate::metrics::{Snapshot, Summary, Traffic};
use crate::refusal::{Lane, Reason};
use crate::session::{Context, Event, Report};
use crate::stop::Stop;
use crate::transport::outbox::Posted;
use crate::transport::queue::header_of;
use crate::verdict::Verdict;
use drain::Drain;
use watch::{Due, Watch};

/// How often a line of totals is logged while anything happens.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// For how long events gather once there is one. Nobody waits for them, and to be woken for each in a storm of
/// connections costs the sessions more than to tell of it: a fifth of all that opening them takes.
const GATHER: Duration = Duration::from_millis(1);

/// Everything the supervisor knows.
pub(crate) struct Supervisor {
    /// What it shares with the sessions.
    context: Arc<Context>,
    /// What the sessions tell it.
    events: Receiver<Event>,
    /// Who waits for a worker.
    admission: Arc<Admission>,
    /// Where those go who waited too long.
    lane: Lane,
    /// Wakes the accept loops; used once.
    wakers: Vec<Waker>,
    /// Accept loops that have not ended.
    listeners: usize,
    /// The registry: sessions that have opened and not closed.
    sessions: HashMap<u64, Watch>,
    /// What has been counted, less the traffic of the sessions that are open.
    totals: Snapshot,
    /// When the server started.
    started: Instant,
    /// When the last line of totals was logged, and what it said.
    reported: (Instant, Snapshot),
    /// The drain, once the server has been asked to stop.
    drain: Option<Drain>,
}

impl Supervisor {
    /// A supervisor of a server that is about to accept.
    pub(crate) fn new(
        context: Arc<Context>,
        events: Receiver<Event>,
        admission: Arc<Admission>,
        lane: Lane,
        wakers: Vec<Waker>,
    ) -> Self {
        let now = Instant::now();
        Self {
            context,
            events,
            admission,
            lane,
            listeners: wakers.len(),
            wakers,
            sessions: HashMap::new(),
            totals: Snapshot::default(),
            started: now,
            reported: (now, Snapshot::default()),
            drain: None,
        }
    }

    /// Watches over the sessions until the server has been asked to stop, and has stopped.
    pub(crate) fn run(mut self, stop: &Stop) -> Summary {
        let never = never();
        let mut asked = stop.receiver();
        let mut ticks = tick(self.context.config.tick());
        let events = self.events.clone();
        while !self.has_stopped() {
            select! {
                recv(events) -> event => {
                    thread::sleep(GATHER);
                    for event in event.into_iter().chain(events.try_iter().take(events.len())) {
                        self.note(event);
                    }
                }
                recv(ticks) -> _ => self.tick(Instant::now()),
                recv(asked) -> _ => {
                    asked = &never;
                    ticks = tick(drain::TICK);
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
            Event::Refused(reason) => self.note_refused(reason),
            Event::ListenerDone => self.listeners -= 1,
        }
    }

    /// A worker has taken a connection.
    fn note_opened(&mut self, session: Arc<SessionHandle>) {
        self.totals.accepted += 1;
        let watch = Watch::new(session, Instant::now());
        self.sessions.insert(watch.session.id(), watch);
        self.totals.peak = self.totals.peak.max(self.sessions.len() as u64);
    }

    /// A worker is done with a connection.
    fn note_closed(&mut self, report: &Report) {
        self.totals.note_end(&report.ended);
        self.totals.panics += u64::from(report.panicked);
        let Some(watch) = self.sessions.remove(&report.id) else { return };
        self.totals.traffic += Traffic::of(watch.session.counters());
        if report.upgraded {
            self.totals.sessions += 1;
            self.totals.cut += u64::from(watch.cut && !report.ended.is_clean());
            self.totals.longest = self.totals.longest.max(watch.opened.elapsed());
        }
    }

    /// A connection was refused.
    fn note_refused(&mut self, reason: Reason) {
        *self.totals.refused.entry(reason.label()).or_default() += 1;
    }

    /// Looks at every session, and at those who wait.
    fn tick(&mut self, now: Instant) {
        if let Some(waited) = now.checked_sub(self.context.config.handshake_timeout) {
            for arrival in self.admission.expire(waited) {
                self.note_refused(Reason::WaitedTooLong);
                self.lane.refuse(arrival, Reason::WaitedTooLong);
            }
        }
        let draining = self.drain.is_some();
        for watch in self.sessions.values_mut() {
            // What is owed goes first: behind it there may be no room for what is due.
            if watch.session.outbox().nudge().is_err() {
                cut(watch);
            } else if let Some(due) = watch.look(now, &self.context.config, draining) {
                self.totals.pings_out += u64::from(act(watch, due, now));
            }
        }
        if draining {
            self.go_on_draining(now);
        } else {
            self.publish(now);
        }
    }

    /// Lets scrapers see the totals, and logs them once a minute while anything happens.
    fn publish(&mut self, now: Instant) {
        let snapshot = Arc::new(self.count(now));
        if let Ok(mut published) = self.context.published.lock() {
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
        for watch in self.sessions.values() {
            snapshot.traffic += Traffic::of(watch.session.counters());
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
fn act(watch: &mut Watch, due: Due, now: Instant) -> bool {
    let session = &watch.session;
    let posted = match due {
        Due::HandshakeTimeout => answer_late_head(session),
        Due::Ping => session.outbox().post(&header_of(OpCode::Control(Control::Ping)), b""),
        Due::KeepaliveTimeout => session.post_close(Verdict::Keepalive),
        Due::WriteStalled => {
            warn!("#{} {} does not read: cut", session.id(), session.peer());
            session.judge(Verdict::WriteStalled);
            cut(watch);
            return false;
        }
        Due::Overdue => {
            cut(watch);
            return false;
        }
    };
    match (due, posted) {
        (_, Err(_)) => cut(watch),
        (Due::Ping, Ok(Posted::Sent | Posted::Queued)) => {
            watch.pinged(now);
            return true;
        }
        // Nobody who has shown no sign of life is given the time to answer a Close.
        (_, Ok(Posted::Sent | Posted::Queued)) => session.reach(Phase::Lingering),
        (_, Ok(Posted::Busy | Posted::Refused)) => {}
    }
    false
}

/// Answers 408; a peer that never said anything is just closed.
fn answer_late_head(session: &SessionHandle) -> std::io::Result<Posted> {
    if session.counters().reads.get() == 0 {
        return Err(std::io::ErrorKind::TimedOut.into());
    }
    let answer = Answer::text(408, "the request head did not arrive in time");
    session.outbox().post_answer(&answer.to_bytes(false), Verdict::HandshakeTimeout)
}

/// Cuts a session, once.
fn cut(watch: &mut Watch) {
    if !watch.cut {
        watch.cut = true;
        watch.session.cut();
    }
}
