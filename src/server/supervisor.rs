//! The supervisor: one thread that owns the registry of open sessions, all timers and the totals.
//!
//! It never blocks on a session. It sends control frames without waiting, and aborts sessions that make no
//! progress.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, never, select, tick};
use log::{Level, info, warn};

use super::freeze::FreezeDetector;
use super::listener::InterruptibleListener;
use super::reject_reason::{RejectReason, log_early_response};
use super::session_timers::{SessionTimers, TimeoutAction};
use super::shutdown::ShutdownSignal;
use super::state::{Event, ServerState, SessionReport};
use crate::http::response::Response;
use crate::metrics::snapshot::{Limits, Snapshot};
use crate::metrics::summary::Summary;
use crate::platform::service_manager::ServiceManager;
use crate::session::handle::SessionHandle;
use crate::transport::phase::Phase;
use crate::transport::termination::TerminationReason;

/// Time between two ticks during the drain. The longest delay of a repeated Close and of the end of the
/// drain.
const DRAIN_TICK: Duration = Duration::from_millis(10);

/// Time between two log lines with totals, while the totals change.
const TOTALS_LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Time between two status lines for the service manager, while the numbers in them change.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// From this number on the supervisor does not look at each session at each tick: a look costs about half a
/// microsecond.
const MANY_SESSIONS: usize = 5000;

/// Time during which events gather after the first one. One wake-up per event took a fifth of the CPU of
/// opening connections in a storm.
const EVENT_BATCH_DELAY: Duration = Duration::from_millis(1);

/// The state of the supervisor thread.
pub(crate) struct Supervisor {
    pub(super) state: Arc<ServerState>,
    /// Events of workers and accept loops.
    pub(super) events: Receiver<Event>,
    /// To unblock the accept loops; emptied when the drain begins.
    pub(super) listeners: Vec<InterruptibleListener>,
    /// Number of accept loops that run.
    pub(super) accept_loops: usize,
    /// The registry: connections that are served, by number.
    pub(super) sessions: HashMap<u64, SessionTimers>,
    /// The totals, with the traffic of open sessions as of the last look at each.
    totals: Snapshot,
    started_at: Instant,
    /// Time and totals of the last log line with totals.
    last_logged: (Instant, Snapshot),
    /// When all remaining sessions are aborted; `None` before the stop request.
    pub(super) drain_deadline: Option<Instant>,
    /// When the drain began.
    pub(super) drain_began: Option<Instant>,
    /// When the drain sends the Close to each session that was open at its begin; empty without
    /// `drain_spread`.
    pub(super) close_times: HashMap<u64, Instant>,
    pub(super) service_manager: Option<ServiceManager>,
    /// Time and text of the last status for the service manager.
    last_status: (Instant, String),
}

impl Supervisor {
    /// Creates the supervisor of a server whose accept loops are about to start.
    pub(crate) fn new(
        state: Arc<ServerState>,
        events: Receiver<Event>,
        listeners: Vec<InterruptibleListener>,
        service_manager: Option<ServiceManager>,
    ) -> Self {
        let now = Instant::now();
        let totals = Snapshot {
            name: state.config.name.clone(),
            limits: Limits::of(&state.config, state.memory.limit()),
            rejected: RejectReason::ALL.map(|reason| (reason.label(), 0)).into(),
            rooms: state.routes.room_totals(),
            ..Snapshot::default()
        };
        // Shown until the first tick.
        if let Ok(mut shared) = state.snapshot.lock() {
            *shared = Arc::new(totals.clone());
        }
        Self {
            state,
            events,
            accept_loops: listeners.len(),
            listeners,
            sessions: HashMap::new(),
            totals,
            started_at: now,
            last_logged: (now, Snapshot::default()),
            drain_deadline: None,
            drain_began: None,
            close_times: HashMap::new(),
            service_manager,
            last_status: (now, String::new()),
        }
    }

    /// Supervises the sessions. Blocks until a stop was requested and the drain is over; returns the final
    /// totals.
    pub(crate) fn run(mut self, stop: &ShutdownSignal) -> Summary {
        let never = never();
        let mut stop_request = stop.receiver();
        let mut drain_start = crossbeam_channel::never::<Instant>();
        let mut ticks = tick(self.state.config.tick());
        let mut freezes = FreezeDetector::new(Instant::now(), self.state.config.tick());
        let events = self.events.clone();
        let watchdog = self.service_manager.as_ref().and_then(ServiceManager::watchdog_interval);
        let watchdog = watchdog.map_or_else(crossbeam_channel::never, tick);
        self.service_manager.iter().for_each(ServiceManager::ready);
        while !self.has_stopped() {
            select! {
                recv(events) -> event => {
                    self.restart_clocks_after_freeze(&mut freezes);
                    thread::sleep(EVENT_BATCH_DELAY);
                    for event in event.into_iter().chain(events.try_iter().take(events.len())) {
                        self.on_event(event);
                    }
                }
                recv(ticks) -> _ => {
                    self.restart_clocks_after_freeze(&mut freezes);
                    self.on_tick(Instant::now());
                }
                recv(stop_request) -> _ => {
                    self.restart_clocks_after_freeze(&mut freezes);
                    stop_request = &never;
                    drain_start = after(self.announce_stop());
                }
                recv(watchdog) -> _ => {
                    self.service_manager.iter().for_each(ServiceManager::feed_watchdog);
                }
                recv(drain_start) -> _ => {
                    self.restart_clocks_after_freeze(&mut freezes);
                    ticks = tick(DRAIN_TICK);
                    self.begin_drain(Instant::now());
                    freezes = FreezeDetector::for_drain(Instant::now());
                }
            }
        }
        let now = Instant::now();
        for timers in self.sessions.values_mut() {
            self.totals.traffic += timers.uncounted_traffic();
        }
        self.totals = self.snapshot(now);
        Summary { totals: self.totals }
    }

    /// Starts all timers again if the process did not run for a while, and adds that time to the drain.
    fn restart_clocks_after_freeze(&mut self, freezes: &mut FreezeDetector) {
        let now = Instant::now();
        let Some(frozen) = freezes.wake_up(now) else { return };
        warn!("the process did not run for {:.1} s; all time-outs start again", frozen.as_secs_f64());
        for timers in self.sessions.values_mut() {
            timers.restart(now);
        }
        if let Some(deadline) = &mut self.drain_deadline {
            *deadline += frozen;
        }
        for close_time in self.close_times.values_mut() {
            *close_time += frozen;
        }
    }

    /// Applies one event to the registry and the totals.
    fn on_event(&mut self, event: Event) {
        match event {
            Event::Opened(handle) => self.on_opened(handle),
            Event::Closed(report) => self.on_closed(&report),
            Event::Overflowed => self.count_rejection(RejectReason::QueueFull),
            Event::AcceptLoopEnded => self.accept_loops -= 1,
        }
    }

    /// Registers a session.
    fn on_opened(&mut self, handle: Arc<SessionHandle>) {
        self.totals.accepted += 1;
        self.sessions.insert(handle.id(), SessionTimers::new(handle, Instant::now()));
        self.totals.peak = self.totals.peak.max(self.sessions.len() as u64);
    }

    /// Removes a session and adds its counters to the totals.
    fn on_closed(&mut self, report: &SessionReport) {
        if let Some(reason) = report.rejected {
            self.count_rejection(reason);
            self.totals.accepted -= 1;
        } else {
            self.totals.record_end(report.end.labels(), report.end.is_clean());
        }
        self.totals.panics += u64::from(report.panicked);
        let Some(mut timers) = self.sessions.remove(&report.id) else { return };
        self.totals.traffic += timers.uncounted_traffic();
        if report.upgraded {
            self.totals.aborted += u64::from(timers.aborted && !report.end.is_clean());
            self.totals.record_session(timers.opened_at.elapsed());
        }
    }

    fn count_rejection(&mut self, reason: RejectReason) {
        *self.totals.rejected.entry(reason.label()).or_default() += 1;
    }

    /// Polls the timers of all sessions; publishes the totals, or continues the drain.
    fn on_tick(&mut self, now: Instant) {
        let draining = self.drain_deadline.is_some();
        let all = draining || self.sessions.len() <= MANY_SESSIONS;
        for timers in self.sessions.values_mut().filter(|timers| all || timers.is_due(now)) {
            self.totals.traffic += timers.uncounted_traffic();
            if let Some(action) = timers.poll_timeouts(now, &self.state.config, draining) {
                self.totals.pings_out += u64::from(apply(timers, action, now, &self.state.config.name));
            }
        }
        self.report_status(now);
        if draining {
            self.continue_drain(now);
        } else {
            self.publish_snapshot(now);
        }
    }

    /// Sends the numbers of connections to the service manager, if they have changed.
    fn report_status(&mut self, now: Instant) {
        let Some(manager) = &self.service_manager else { return };
        let (sent_at, last) = &self.last_status;
        if !last.is_empty() && now - *sent_at < STATUS_INTERVAL {
            return;
        }
        let (open, accepted) = (self.sessions.len(), self.totals.accepted);
        let waiting = self.state.admission.waiting();
        let status = format!("{open} connections open, {accepted} accepted, {waiting} waiting");
        if status != *last {
            manager.status(status.clone());
        }
        self.last_status = (now, status);
    }

    /// Stores the totals for `/metrics` and `/stats`, and logs them once a minute if they have changed.
    fn publish_snapshot(&mut self, now: Instant) {
        let snapshot = Arc::new(self.snapshot(now));
        if let Ok(mut shared) = self.state.snapshot.lock() {
            *shared = Arc::clone(&snapshot);
        }
        let (logged_at, last) = &self.last_logged;
        if now - *logged_at < TOTALS_LOG_INTERVAL {
            return;
        }
        let (traffic, before) = (&snapshot.traffic, &last.traffic);
        if traffic != before || snapshot.accepted != last.accepted || snapshot.open != last.open {
            let Snapshot { open, accepted, waiting, .. } = *snapshot;
            let messages_in = traffic.messages_in - before.messages_in;
            let messages_out = traffic.messages_out - before.messages_out;
            info!(
                open, accepted, waiting, messages_in, messages_out;
                "{open} open, {accepted} accepted, {waiting} waiting; \
                 messages in the last minute: {messages_in} in, {messages_out} out"
            );
        }
        self.last_logged = (now, Snapshot::clone(&snapshot));
    }

    /// Returns the totals including the open sessions, as of the last look at each.
    fn snapshot(&self, now: Instant) -> Snapshot {
        let mut snapshot = self.totals.clone();
        snapshot.pings_out += snapshot.traffic.pings_out;
        snapshot.uptime = now - self.started_at;
        snapshot.open = self.sessions.len() as u64;
        snapshot.memory_used = self.state.memory.used() as u64;
        snapshot.memory_peak = self.state.memory.peak() as u64;
        snapshot.waiting = self.state.admission.waiting() as u64;
        snapshot.rooms = self.state.routes.room_totals();
        snapshot
    }
}

/// Applies a time-out to a session. Returns whether a Ping was sent.
///
/// A slow reader is dropped here: if the kernel takes no byte for the write time-out, the session is aborted.
/// A slow reader in a room of `/broadcast` is evicted earlier, with Close 1013 (`rooms::room`).
fn apply(timers: &mut SessionTimers, action: TimeoutAction, now: Instant, served_by: &str) -> bool {
    let handle = &timers.handle;
    let result = match action {
        TimeoutAction::HandshakeTimeout => send_request_timeout(handle, served_by),
        TimeoutAction::QueueTimeout => {
            let response = RejectReason::QueueTimeout.response();
            handle.respond(&response.to_bytes(false, served_by), TerminationReason::QueueTimeout)
        }
        TimeoutAction::SendPing => handle.send_ping(),
        TimeoutAction::KeepaliveTimeout => handle.terminate(TerminationReason::Keepalive),
        TimeoutAction::Close(reason) => handle.terminate(reason),
        TimeoutAction::WriteTimeout => {
            let (id, peer) = (handle.id(), handle.peer());
            warn!(session = id, peer:%; "#{id} {peer} write timeout, aborted");
            handle.set_termination_reason(TerminationReason::WriteStalled);
            abort(timers);
            return false;
        }
        TimeoutAction::CloseTimeout => {
            abort(timers);
            return false;
        }
    };
    match (action, result) {
        (_, Err(_)) => abort(timers),
        (TimeoutAction::SendPing, Ok(true)) => {
            timers.record_ping(now);
            return true;
        }
        // A peer that did not respond in time does not get the close time-out as well.
        (TimeoutAction::KeepaliveTimeout, Ok(true)) => handle.advance_to(Phase::Lingering),
        (_, Ok(_)) => {}
    }
    false
}

/// Sends 408 without blocking.
///
/// # Errors
/// `TimedOut` if the peer has sent no byte: such a connection is closed without a response. Otherwise an
/// error of the socket.
fn send_request_timeout(handle: &SessionHandle, served_by: &str) -> io::Result<bool> {
    if handle.counters().reads.get() == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let response = Response::text(408, "the request head was not complete in time");
    log_early_response(Level::Info, handle, &response);
    handle.respond(&response.to_bytes(false, served_by), TerminationReason::HandshakeTimeout)
}

/// Aborts a session with shutdown(2), once. This makes it ready, and a worker ends it.
pub(super) fn abort(timers: &mut SessionTimers) {
    if !timers.aborted {
        timers.aborted = true;
        timers.handle.abort();
    }
}
