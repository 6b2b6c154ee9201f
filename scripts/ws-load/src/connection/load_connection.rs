//! One connection from the first SYN to its end, as a state machine that readiness drives.

use super::{
    context::DriverContext,
    failure::Failure,
    latency::record_missing,
    open_connection::{OpenConnection, SessionEnd},
    open_scope::OpenScope,
    opening::{OpenStep, Opening},
};
use crate::{
    net::{client_stream::Readiness, protocol::ClientProtocol},
    stats::{counters::Count, recorder::Metric},
    workload::{mode::Mode, slot_queue::SlotQueue},
};
use mio::{Registry, Token};
use std::{
    collections::VecDeque,
    mem,
    time::{Duration, Instant},
};

/// A connection that was open for this long has shown that the server is back.
const STABLE: Duration = Duration::from_secs(5);
/// Longest wait for the server's part of the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// What a step on an open connection returns.
type StepResult = Result<(), SessionEnd>;

#[derive(Debug)]
enum ConnectionState {
    /// In the queue of connections to open.
    Queued,
    Opening(Opening),
    Open(Box<OpenConnection>),
    /// In the closing handshake since the given moment.
    Closing(Box<OpenConnection>, Instant),
    Done,
}

/// One of the `--connections`. With `--churn` it is opened many times in a row.
///
/// Each call of [`LoadConnection::open`] counts one attempt, and ends in exactly one of these: failed,
/// unfinished, closed cleanly, cut, lost.
#[derive(Debug)]
pub(crate) struct LoadConnection {
    /// Its number over all threads, part of every message's identity.
    id: u32,
    token: Token,
    state: ConnectionState,
    /// When it was due to be opened.
    due: Instant,
    failed: bool,
    /// Sequence number of the first message after the next opening.
    next_sequence: u64,
    /// Messages of the schedule that it was dealt and has not sent.
    pub(crate) queue: SlotQueue,
    opened_at: Instant,
    /// Number of times that its opening has begun.
    attempts: u64,
    /// When it was lost, until it is open again.
    lost_at: Option<Instant>,
    /// It has to be opened again.
    retry: bool,
    /// When the messages were due that the next session sends again.
    resend: VecDeque<Instant>,
    /// Number of attempts in a row that did not lead to a stable connection.
    failures: u32,
}

impl LoadConnection {
    /// Creates a connection in the queue.
    pub(crate) fn new(id: u32, token: Token, now: Instant) -> Self {
        Self {
            id,
            token,
            state: ConnectionState::Queued,
            due: now,
            failed: false,
            next_sequence: 0,
            queue: SlotQueue::default(),
            opened_at: now,
            attempts: 0,
            lost_at: None,
            retry: false,
            resend: VecDeque::new(),
            failures: 0,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Returns whether its opening has succeeded or failed.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.state, ConnectionState::Open(_) | ConnectionState::Closing(..) | ConnectionState::Done)
            || self.lost_at.is_some()
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, ConnectionState::Open(_))
    }

    /// Marks a connection that was lost and has to be opened again as queued. Returns the number of attempts
    /// that failed before, or `None` for any other connection.
    pub(crate) fn take_retry(&mut self) -> Option<u32> {
        (mem::take(&mut self.retry) && self.requeue()).then_some(self.failures)
    }

    /// Returns whether it was opened and has ended.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, ConnectionState::Done)
    }

    /// Returns whether it has no socket: it has ended, or is in the queue.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, ConnectionState::Queued | ConnectionState::Done)
    }

    /// Marks a connection that has ended as queued, and returns true. Returns false in any other state: two
    /// entries of one connection in the queue would let the second opening replace a socket that is in use.
    pub(crate) fn requeue(&mut self) -> bool {
        let is_done = self.is_done();
        if is_done {
            self.state = ConnectionState::Queued;
        }
        is_done
    }

    /// Returns whether no message is in flight, and no churn cycle is incomplete.
    pub(crate) fn is_quiet(&self, ctx: &DriverContext) -> bool {
        match &self.state {
            ConnectionState::Open(open) => open.is_quiet(ctx),
            ConnectionState::Queued | ConnectionState::Closing(..) | ConnectionState::Done => true,
            // A churn cycle that has begun is completed.
            ConnectionState::Opening(_) => ctx.plan().mode != Mode::Churn,
        }
    }

    /// Returns whether its last opening failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Starts the TCP connect. The connection must be idle.
    pub(crate) fn open(&mut self, registry: &Registry, ctx: &mut DriverContext, due: Instant, now: Instant) {
        debug_assert!(self.is_idle(), "connection {} is opened while it is in use", self.id);
        ctx.recorder.count(Count::Attempted);
        self.due = due;
        self.failed = false;
        self.attempts += 1;
        match Opening::start(&mut self.scope(registry, ctx, now)) {
            Ok(opening) => self.state = ConnectionState::Opening(opening),
            Err(failure) => self.fail(&failure, ctx),
        }
    }

    fn scope<'a>(&self, registry: &'a Registry, ctx: &'a mut DriverContext, now: Instant) -> OpenScope<'a> {
        let attempt = self.attempts.saturating_sub(1);
        OpenScope { registry, token: self.token, connection: self.id, attempt, ctx, now }
    }

    /// Continues the opening if it waits for a deadline that has passed. Otherwise does nothing.
    pub(crate) fn resume(&mut self, registry: &Registry, ctx: &mut DriverContext, now: Instant) {
        let scope = &mut self.scope(registry, ctx, now);
        if let ConnectionState::Opening(opening) = &mut self.state
            && let Err(failure) = opening.resume(scope)
        {
            self.fail(&failure, ctx);
        }
    }

    /// Continues with whatever the readiness of the socket allows.
    pub(crate) fn on_ready(&mut self, registry: &Registry, ctx: &mut DriverContext, readiness: Readiness) {
        match mem::replace(&mut self.state, ConnectionState::Done) {
            ConnectionState::Opening(opening) => {
                let mut scope = self.scope(registry, ctx, Instant::now());
                match opening.advance(&mut scope, readiness) {
                    Ok(OpenStep::Pending(opening)) => self.state = ConnectionState::Opening(opening),
                    Ok(OpenStep::Open { protocol, compress }) => self.on_open(protocol, compress, ctx),
                    Err(failure) => self.fail(&failure, ctx),
                }
            }
            ConnectionState::Open(mut open) => {
                open.note(readiness);
                self.state = ConnectionState::Open(open);
                self.step(ctx, OpenConnection::receive);
            }
            ConnectionState::Closing(mut open, since) => {
                open.note(readiness);
                self.continue_close(open, since, ctx);
            }
            state @ (ConnectionState::Queued | ConnectionState::Done) => self.state = state,
        }
    }

    fn on_open(&mut self, protocol: ClientProtocol, compress: bool, ctx: &mut DriverContext) {
        let now = Instant::now();
        ctx.recorder.count(Count::Opened);
        ctx.open += 1;
        ctx.last_opened = Some(now);
        ctx.run.service.on_open(now);
        self.opened_at = now;
        if let Some(lost_at) = self.lost_at.take() {
            ctx.recorder.count(Count::Reconnected);
            ctx.recorder.record(Metric::Down, now.saturating_duration_since(lost_at));
        }
        ctx.record_opening(Metric::Opening, now.saturating_duration_since(self.due), now);
        let mut open = OpenConnection::new(protocol, self.id, self.next_sequence, compress, ctx);
        open.resend = mem::take(&mut self.resend);
        self.state = ConnectionState::Open(Box::new(open));
        self.step(ctx, |open, ctx, queue| {
            open.send_first(ctx)?;
            // Messages may have arrived in the same read as the 101.
            open.receive(ctx, queue)
        });
    }

    /// Counts an opening that failed.
    fn fail(&mut self, failure: &Failure, ctx: &mut DriverContext) {
        ctx.recorder.count(Count::Failed);
        self.failed = true;
        ctx.recorder.counters.add_cause(&failure.reason, failure.cause());
        self.state = ConnectionState::Done;
        if self.lost_at.is_some() && ctx.is_reconnecting() {
            self.failures = self.failures.saturating_add(1);
            self.retry = true;
        } else {
            ctx.on_connection_ended();
        }
    }

    /// Sends the messages that may be sent now.
    pub(crate) fn send_due(&mut self, ctx: &mut DriverContext) {
        if matches!(self.state, ConnectionState::Open(_)) {
            self.step(ctx, OpenConnection::send);
        }
    }

    /// Runs `action` on an open connection, then closes it if its churn cycle is complete or it was lost.
    fn step(
        &mut self,
        ctx: &mut DriverContext,
        action: impl FnOnce(&mut OpenConnection, &mut DriverContext, &mut SlotQueue) -> StepResult,
    ) {
        let ConnectionState::Open(open) = &mut self.state else { return };
        match action(open, ctx, &mut self.queue) {
            Ok(()) => {
                if open.take_unfinished() {
                    ctx.unfinished.push(self.token);
                }
                if ctx.plan().mode == Mode::Churn && open.is_finished() {
                    if open.has_valid_reply() {
                        let now = open.read_at();
                        if ctx.is_measured(now) {
                            ctx.recorder.count(Count::Cycles);
                            ctx.recorder.record(Metric::Cycle, now.saturating_duration_since(self.due));
                        }
                    }
                    self.close(ctx);
                }
            }
            Err(SessionEnd::Lost(failure)) => {
                if failure.is_stop && ctx.is_resending() {
                    self.resend = open.take_unanswered(ctx);
                }
                ctx.recorder.counters.add_cause(&failure.reason, failure.cause());
                self.end(Count::Lost, ctx);
            }
            Err(SessionEnd::Complete) => {
                if let ConnectionState::Open(open) = mem::replace(&mut self.state, ConnectionState::Done) {
                    self.continue_close(open, Instant::now(), ctx);
                }
            }
        }
    }

    /// Starts the closing handshake of an open connection. Ends a connection that is not open yet.
    pub(crate) fn close(&mut self, ctx: &mut DriverContext) {
        match mem::replace(&mut self.state, ConnectionState::Done) {
            ConnectionState::Open(mut open) => {
                open.close(ctx);
                self.continue_close(open, Instant::now(), ctx);
            }
            state @ ConnectionState::Closing(..) => self.state = state,
            // There is no closing handshake before the 101. Dropping the socket closes it.
            ConnectionState::Opening(_) => ctx.recorder.count(Count::Unfinished),
            ConnectionState::Queued | ConnectionState::Done => {}
        }
        let now = Instant::now();
        self.resend.drain(..).for_each(|due| record_missing(ctx, due, due, now));
    }

    fn continue_close(&mut self, mut open: Box<OpenConnection>, since: Instant, ctx: &mut DriverContext) {
        let closed = open.drain_close(ctx);
        if open.take_unfinished() {
            ctx.unfinished.push(self.token);
        }
        self.state = ConnectionState::Closing(open, since);
        if let Some(clean) = closed {
            self.end(if clean { Count::ClosedClean } else { Count::Cut }, ctx);
        }
    }

    /// Ends an open connection: counts how it ended, and its messages without a reply as missing.
    fn end(&mut self, how: Count, ctx: &mut DriverContext) {
        if let ConnectionState::Open(mut open) | ConnectionState::Closing(mut open, _) =
            mem::replace(&mut self.state, ConnectionState::Done)
        {
            ctx.recorder.count(how);
            ctx.open = ctx.open.saturating_sub(1);
            open.count_missing(ctx);
            self.next_sequence = open.next_sequence();
            if how == Count::Lost { self.on_lost(ctx) } else { ctx.on_connection_ended() }
        }
    }

    /// Gives the messages that wait on the connection to others, and has it opened again with `--reconnect`.
    fn on_lost(&mut self, ctx: &DriverContext) {
        let now = Instant::now();
        ctx.unassign(&mut self.queue);
        if ctx.loading {
            ctx.run.service.on_lost(now);
        }
        if ctx.is_reconnecting() {
            let was_stable = now.saturating_duration_since(self.opened_at) >= STABLE;
            self.failures = if was_stable { 0 } else { self.failures.saturating_add(1) };
            self.lost_at = Some(now);
            self.retry = true;
        } else {
            ctx.on_connection_ended();
        }
    }

    /// Applies the time-outs of replies, of opening and of the closing handshake.
    pub(crate) fn check_deadlines(&mut self, ctx: &mut DriverContext, now: Instant) {
        match &mut self.state {
            ConnectionState::Open(open) => {
                if open.expire_overdue(ctx, now) {
                    self.send_due(ctx);
                }
            }
            ConnectionState::Opening(opening) => {
                if let Some(failure) = opening.timed_out(now, ctx.plan().connect_timeout) {
                    self.fail(&failure, ctx);
                }
            }
            ConnectionState::Closing(open, since) => {
                let timeout = match ctx.plan().mode {
                    // The server reads what the socket holds before it reads the Close.
                    Mode::Send => CLOSE_TIMEOUT.max(ctx.plan().drain),
                    _ => CLOSE_TIMEOUT,
                };
                if now.saturating_duration_since(*since) >= timeout {
                    let clean = open.is_close_received();
                    self.end(if clean { Count::ClosedClean } else { Count::Cut }, ctx);
                }
            }
            ConnectionState::Queued | ConnectionState::Done => {}
        }
    }
}
