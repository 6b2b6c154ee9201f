//! One connection from the first SYN to the end, as a state machine that readiness drives.

mod opening;

use super::{
    context::Context,
    failure::Failure,
    plan::Mode,
    stats::{Count, Metric},
    traffic::{Ended, Talk},
    wire::{Readiness, Wire},
};
use mio::{Interest, Registry, Token};
use std::{
    io, mem,
    time::{Duration, Instant},
};
use tungstenite::{
    Error,
    handshake::{MidHandshake, client::ClientHandshake},
};

/// How long a connection waits for the server's part of the closing handshake.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);

type Upgrade = MidHandshake<ClientHandshake<Wire>>;

/// How far a connection is.
#[derive(Debug)]
enum State {
    /// In the queue of connections to open.
    Queued,
    Connecting(Wire),
    Securing(Wire),
    Upgrading(Box<Upgrade>),
    Open(Box<Talk>),
    Closing(Box<Talk>),
    Done,
}

/// One of the connections that were asked for. With `--churn` it is many in a row.
#[derive(Debug)]
pub(super) struct Connection {
    /// Its number over all threads, part of every message's identity.
    id: u32,
    token: Token,
    state: State,
    /// When the present phase began.
    since: Instant,
    /// When it was due to be opened.
    due: Instant,
    /// How many of the host's addresses were tried.
    tried: usize,
    failed: bool,
    /// The next sequence number, should it be opened again.
    next: u64,
    /// How many messages the schedule has released to it.
    pub(super) released: u64,
}

impl Connection {
    pub(super) fn new(id: u32, token: Token, now: Instant) -> Self {
        Self {
            id,
            token,
            state: State::Queued,
            since: now,
            due: now,
            tried: 0,
            failed: false,
            next: 0,
            released: 0,
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Neither waiting to be opened nor on its way: open, or over.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.state, State::Open(_) | State::Closing(_) | State::Done)
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Returns whether it has no socket: it is over, or in the queue.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Queued | State::Done)
    }

    /// Marks a connection that is over as queued. Returns false, and changes nothing, in any other state: one slot must
    /// not be in the queue twice, or its second opening would replace a connection that is in use.
    pub(super) fn requeue(&mut self) -> bool {
        let is_done = self.is_done();
        if is_done {
            self.state = State::Queued;
        }
        is_done
    }

    /// Whether nothing is owed any more in either direction.
    pub(super) fn is_quiet(&self, cx: &Context) -> bool {
        match &self.state {
            State::Open(talk) => talk.in_flight() == 0 && self.released <= talk.next(),
            State::Queued | State::Closing(_) | State::Done => true,
            // A cycle that has begun is finished.
            State::Connecting(_) | State::Securing(_) | State::Upgrading(_) => cx.plan().mode != Mode::Churn,
        }
    }

    /// How many messages it has sent.
    pub(super) fn sent(&self) -> u64 {
        if let State::Open(talk) | State::Closing(talk) = &self.state { talk.next() } else { self.next }
    }

    /// Whether it never became a WebSocket.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Begins to connect.
    pub(super) fn open(&mut self, registry: &Registry, cx: &mut Context, due: Instant, now: Instant) {
        debug_assert!(self.is_idle(), "connection {} is opened while it is in use", self.id);
        cx.recorder.count(Count::Attempted);
        self.due = due;
        self.tried = 0;
        self.failed = false;
        self.connect(registry, cx, now);
    }

    fn connect(&mut self, registry: &Registry, cx: &mut Context, now: Instant) {
        self.since = now;
        self.tried += 1;
        let addresses = &cx.plan().target.addresses;
        let address = addresses.get(cx.address % addresses.len().max(1)).copied();
        let wire = address.ok_or_else(|| io::ErrorKind::NotFound.into());
        let wire = wire.and_then(|address| Wire::connect(address, now)).and_then(|mut wire| {
            registry.register(wire.stream(), self.token, Interest::READABLE | Interest::WRITABLE)?;
            Ok(wire)
        });
        match wire {
            Ok(wire) => self.state = State::Connecting(wire),
            Err(error) => self.fail(&Failure::from_io(&error), cx),
        }
    }

    /// The socket is ready for something.
    pub(super) fn ready(&mut self, registry: &Registry, cx: &mut Context, readiness: Readiness) {
        match mem::replace(&mut self.state, State::Done) {
            State::Connecting(mut wire) => {
                wire.note(readiness);
                match wire.connected() {
                    Ok(true) => self.connected(wire, cx),
                    Ok(false) => self.state = State::Connecting(wire),
                    Err(_) if self.tried < cx.plan().target.addresses.len() => {
                        // A name often has an IPv6 and an IPv4 address, and the server only one of them.
                        cx.address += 1;
                        self.connect(registry, cx, Instant::now());
                    }
                    Err(error) => self.fail(&Failure::from_io(&error), cx),
                }
            }
            State::Securing(mut wire) => {
                wire.note(readiness);
                self.secure(wire, cx);
            }
            State::Upgrading(mut upgrade) => {
                upgrade.get_mut().get_mut().note(readiness);
                self.upgrade(*upgrade, cx);
            }
            State::Open(mut talk) => {
                talk.note(readiness);
                self.state = State::Open(talk);
                self.converse(cx, Talk::receive);
            }
            State::Closing(mut talk) => {
                talk.note(readiness);
                self.finish(talk, cx);
            }
            state @ (State::Queued | State::Done) => self.state = state,
        }
    }

    /// It never became a WebSocket.
    fn fail(&mut self, failure: &Failure, cx: &mut Context) {
        cx.recorder.count(Count::Failed);
        self.failed = true;
        cx.recorder.counters.blame(&failure.reason, failure.blame());
        self.state = State::Done;
    }

    /// Sends what may be sent.
    pub(super) fn pump(&mut self, cx: &mut Context) {
        if matches!(self.state, State::Open(_)) {
            self.converse(cx, Talk::send);
        }
    }

    /// Lets `step` do its part of the conversation, and acts on its end.
    fn converse(
        &mut self,
        cx: &mut Context,
        step: impl FnOnce(&mut Talk, &mut Context, u64) -> Result<(), Ended>,
    ) {
        let State::Open(talk) = &mut self.state else { return };
        match step(talk, cx, self.released) {
            Ok(()) => {
                if cx.plan().mode == Mode::Churn && talk.is_finished() {
                    if talk.is_answered() {
                        let now = talk.read_at();
                        cx.recorder.count(Count::Cycles);
                        if cx.is_measured(now) {
                            cx.recorder.record(Metric::Cycle, now.saturating_duration_since(self.due));
                        }
                    }
                    self.close(cx);
                }
            }
            Err(Ended(failure)) => {
                cx.recorder.count(Count::Lost);
                cx.recorder.counters.blame(&failure.reason, failure.blame());
                self.end(cx);
            }
        }
    }

    /// Starts the closing handshake, if there is something to close.
    pub(super) fn close(&mut self, cx: &mut Context) {
        match mem::replace(&mut self.state, State::Done) {
            State::Open(mut talk) => {
                self.since = Instant::now();
                talk.close();
                self.finish(talk, cx);
            }
            State::Closing(talk) => self.state = State::Closing(talk),
            // Not open yet: there is no closing handshake. Dropping the socket closes it.
            State::Connecting(_) | State::Securing(_) | State::Upgrading(_) => {
                cx.recorder.count(Count::Unfinished);
            }
            State::Queued | State::Done => {}
        }
    }

    /// Goes on with the closing handshake.
    fn finish(&mut self, mut talk: Box<Talk>, cx: &mut Context) {
        let closed = talk.hear_out(cx);
        self.state = State::Closing(talk);
        if let Some(clean) = closed {
            cx.recorder.count(if clean { Count::ClosedClean } else { Count::Cut });
            self.end(cx);
        }
    }

    /// The connection is over: settles the account.
    fn end(&mut self, cx: &mut Context) {
        if let State::Open(mut talk) | State::Closing(mut talk) = mem::replace(&mut self.state, State::Done) {
            cx.open = cx.open.saturating_sub(1);
            talk.settle(cx);
            self.next = talk.next();
        }
    }

    /// Looks for what has taken too long.
    pub(super) fn check_deadlines(&mut self, cx: &mut Context, now: Instant) {
        if let State::Open(talk) = &mut self.state
            && talk.expire(cx, now)
        {
            return self.pump(cx);
        }
        let waited = now.saturating_duration_since(self.since);
        let overdue = waited >= cx.plan().connect_timeout;
        match &self.state {
            State::Connecting(_) if overdue => self.fail(&Failure::timed_out("TCP connect"), cx),
            State::Securing(_) if overdue => self.fail(&Failure::timed_out("TLS handshake"), cx),
            State::Upgrading(_) if overdue => self.fail(&Failure::timed_out("WebSocket handshake"), cx),
            State::Closing(talk) if waited >= CLOSE_DEADLINE => {
                let clean = talk.is_acknowledged();
                cx.recorder.count(if clean { Count::ClosedClean } else { Count::Cut });
                self.end(cx);
            }
            _ => {}
        }
    }
}

/// Whether `error` only says that there is nothing to do now.
pub(super) fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}
