//! One connection from its first byte to its report: opening, session, end. Each turn does what is possible
//! without waiting.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{error, info};
use socket2::Socket;

use super::admission::{AcceptedConnection, ConnectionPermit};
use super::lingering::Lingering;
use super::opening::{Opening, OpeningStep, opening_outcome};
use super::place::PlaceOutcome;
use super::state::{Event, ServerState, SessionReport};
use crate::http::response::Response;
use crate::metrics::snapshot::Traffic;
use crate::platform::readiness::{Cause, ReadinessSet};
use crate::session::end::SessionEnd;
use crate::session::endpoint::Endpoint;
use crate::session::handle::SessionHandle;
use crate::session::turn::{Finish, TurnEnd};
use crate::session::websocket::WebSocketSession;
use crate::transport::phase::Phase;

/// A connection that the server serves. At any time one thread or none runs it
/// ([`TurnState`](crate::platform::turn_state::TurnState)).
pub(super) struct ConnectionTask {
    handle: Arc<SessionHandle>,
    /// Locked by the thread that runs it.
    body: Mutex<Body>,
}

/// What only the thread that runs a connection uses.
struct Body {
    stage: Stage,
    opened_at: Instant,
    /// The wake-up time in the readiness set.
    wake_up: Option<Instant>,
    /// How the connection ended; `Aborted` until that is known.
    end: SessionEnd,
    /// The endpoint or the opening panicked.
    panicked: bool,
    /// The socket is to be closed with a RST, that is without `shutdown(2)` before, which would send a FIN.
    reset: bool,
    /// Counts the connection until it is reported.
    permit: Option<ConnectionPermit>,
    outcome: PlaceOutcome,
}

/// How far a connection has come.
enum Stage {
    /// TLS handshake and request head.
    Opening(Box<Opening>),
    Session(Box<WebSocketSession>, Box<dyn Endpoint>),
    /// The last bytes, and the wait for the peer's end of stream.
    Lingering(Box<Lingering>),
    Ended,
}

impl ConnectionTask {
    /// Creates the task of an accepted connection and reports it to the supervisor. Blocks while the
    /// supervisor's channel is full.
    pub(super) fn new(
        id: u64,
        connection: AcceptedConnection,
        permit: ConnectionPermit,
        readiness: &Arc<ReadinessSet>,
        state: &ServerState,
    ) -> Self {
        let AcceptedConnection { socket, peer, tls } = connection;
        let handle = Arc::new(SessionHandle::new(id, peer, socket, Arc::clone(readiness), &state.memory));
        let mut outcome = PlaceOutcome::default();
        let opening = Opening::new(Arc::clone(&handle), tls, &mut outcome, state);
        // Fails only if the supervisor has ended: after the drain it does not wait for this connection.
        let _ = state.events.send(Event::Opened(Arc::clone(&handle)));
        let body = Body {
            stage: Stage::Opening(Box::new(opening)),
            opened_at: Instant::now(),
            wake_up: None,
            end: SessionEnd::Aborted,
            panicked: false,
            reset: false,
            permit: Some(permit),
            outcome,
        };
        Self { handle, body: Mutex::new(body) }
    }

    /// Gives the connection a turn on a worker.
    pub(super) fn wake(&self) {
        self.handle.wake();
    }

    /// Returns the number of the connection.
    pub(super) fn id(&self) -> u64 {
        self.handle.id()
    }

    /// Returns the socket.
    pub(super) fn socket(&self) -> &Socket {
        self.handle.writer().socket()
    }

    /// Gives the connection a turn. Returns whether it has ended. Does nothing if another thread runs it.
    pub(super) fn run(&self, cause: Cause, readiness: &ReadinessSet, state: &ServerState) -> bool {
        let (id, turn_state) = (self.id(), self.handle.turn());
        if !turn_state.begin(cause == Cause::Scheduled) {
            return false;
        }
        let mut body = self.lock();
        let interest = match body.turn(&self.handle, cause != Cause::Time, state) {
            TurnEnd::Wait(interest) => interest,
            TurnEnd::Yield => {
                drop(body);
                turn_state.requeue();
                readiness.requeue(id);
                return false;
            }
            TurnEnd::Ended(end, finish) => {
                body.end = end;
                body.reset = finish == Finish::Reset && self.reset_on_close();
                turn_state.end();
                return true;
            }
        };
        if let Stage::Session(session, _) = &body.stage {
            let wanted = session.next_wake_up(interest);
            body.set_wake_up(id, wanted, readiness);
        }
        drop(body);
        if let Err(error) = readiness.arm(self.socket(), id, interest) {
            error!(session = id; "#{id} cannot wait for its socket: {error}");
            turn_state.end();
            return true;
        }
        // Last, because another worker may take the connection from here on.
        if !turn_state.wait() {
            readiness.requeue(id);
        }
        false
    }

    /// Reports the end of the connection, logs it if it was a session, and closes it. The caller must run it.
    pub(super) fn end(&self, readiness: &ReadinessSet, state: &ServerState) {
        let handle = &self.handle;
        handle.turn().end();
        let mut body = self.lock();
        body.set_wake_up(handle.id(), None, readiness);
        let last_stage = std::mem::replace(&mut body.stage, Stage::Ended);
        let Some(permit) = body.permit.take() else { return };
        let upgraded = handle.is_upgraded();
        if upgraded {
            log_end(handle, &body.end, body.opened_at.elapsed());
        }
        // An endpoint may use its session's handle when it is dropped.
        drop(last_stage);
        if !body.reset {
            handle.finish();
        }
        let outcome = std::mem::take(&mut body.outcome);
        let rejected = outcome.rejected;
        let (id, end, panicked) = (handle.id(), body.end.clone(), body.panicked);
        let report = SessionReport { id, end, rejected, upgraded, panicked };
        drop((permit, outcome));
        let _ = state.events.send(Event::Closed(report));
    }

    /// Makes close(2) send a RST (`SO_LINGER`, socket(7)). Returns whether that succeeded.
    fn reset_on_close(&self) -> bool {
        self.socket().set_linger(Some(Duration::ZERO)).is_ok()
    }

    /// Locks the body. After a panic it is used only to report the end.
    fn lock(&self) -> MutexGuard<'_, Body> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body {
    /// Takes a turn. A panic of the endpoint or of the opening ends the connection with 1011 (500 before the
    /// 101).
    fn turn(&mut self, handle: &Arc<SessionHandle>, readable: bool, state: &ServerState) -> TurnEnd {
        let mut current = std::mem::replace(&mut self.stage, Stage::Ended);
        current.begin_turn(readable);
        let place = &mut self.outcome;
        let outcome = catch_unwind(AssertUnwindSafe(|| current.run(handle, place, state)));
        let end = outcome.unwrap_or_else(|_| {
            let (id, peer) = (handle.id(), handle.peer());
            error!(session = id, peer:%; "#{id} {peer} handler panicked");
            self.panicked = true;
            let end = catch_unwind(AssertUnwindSafe(|| close_after_panic(handle, &state.config.name)))
                .unwrap_or(SessionEnd::Aborted);
            current = Stage::lingering(handle, end, Phase::Lingering);
            current.run(handle, &mut self.outcome, state)
        });
        self.stage = current;
        end
    }

    /// Sets the wake-up time in the readiness set to `wanted`, unless an earlier one is set: the turn at that
    /// time sets it then. A session that receives all the time sets few timers in this way.
    fn set_wake_up(&mut self, id: u64, wanted: Option<Instant>, readiness: &ReadinessSet) {
        match (self.wake_up, wanted) {
            (None, None) => return,
            (Some(set), Some(wanted)) if set <= wanted && set > Instant::now() => return,
            _ => {}
        }
        readiness.set_wake_up(id, self.wake_up, wanted);
        self.wake_up = wanted;
    }
}

impl Stage {
    /// Begins a turn. `readable`: bytes may have arrived since the last one.
    fn begin_turn(&mut self, readable: bool) {
        match self {
            Self::Opening(opening) => opening.begin_turn(readable),
            Self::Session(session, _) => session.begin_turn(readable),
            Self::Lingering(lingering) => lingering.begin_turn(readable),
            Self::Ended => {}
        }
    }

    /// Takes a turn with this stage and those that follow it.
    fn run(
        &mut self,
        handle: &Arc<SessionHandle>,
        outcome: &mut PlaceOutcome,
        state: &ServerState,
    ) -> TurnEnd {
        loop {
            let (end, finish) = match self {
                Self::Opening(opening) => match opening.turn(outcome, state) {
                    OpeningStep::Wait(interest) => return TurnEnd::Wait(interest),
                    OpeningStep::Opened(mut session, mut endpoint) => {
                        session.open(endpoint.as_mut());
                        *self = Self::Session(session, endpoint);
                        continue;
                    }
                    OpeningStep::Ended(end, finish) => (end, finish),
                },
                Self::Session(session, endpoint) => match session.turn(endpoint.as_mut()) {
                    TurnEnd::Ended(end, finish) => (end, finish),
                    other => return other,
                },
                Self::Lingering(lingering) => return lingering.turn(),
                Self::Ended => return TurnEnd::Ended(SessionEnd::Aborted, Finish::Close),
            };
            match finish {
                Finish::Linger => *self = Self::lingering(handle, end, Phase::Lingering),
                Finish::LingerAfterError => *self = Self::lingering(handle, end, Phase::Failed),
                Finish::Close | Finish::Reset => return TurnEnd::Ended(end, finish),
            }
        }
    }

    fn lingering(handle: &Arc<SessionHandle>, end: SessionEnd, phase: Phase) -> Self {
        Self::Lingering(Box::new(Lingering::new(handle, end, phase)))
    }
}

/// Sends Close 1011 after a panic, or 500 if the 101 has not been sent. Returns how the connection ends.
fn close_after_panic(handle: &SessionHandle, served_by: &str) -> SessionEnd {
    const INTERNAL_ERROR: &str = "internal error";
    if !handle.is_upgraded() {
        let response = Response::text(500, INTERNAL_ERROR);
        return match handle.writer().send_response(&response.to_bytes(false, served_by)) {
            Ok(true) => SessionEnd::HttpResponse(500),
            Ok(false) | Err(_) => opening_outcome(handle),
        };
    }
    match handle.writer().close(1011, INTERNAL_ERROR) {
        Ok(true) => SessionEnd::by_server(1011, INTERNAL_ERROR),
        Ok(false) | Err(_) => SessionEnd::Aborted,
    }
}

/// Logs the end of a session.
fn log_end(handle: &SessionHandle, end: &SessionEnd, duration: Duration) {
    let (id, peer) = (handle.id(), handle.peer());
    let traffic = Traffic::of(handle.counters());
    let Traffic { messages_in, messages_out, bytes_in, bytes_out, .. } = traffic;
    info!(
        session = id, peer:%, code = end.labels().1, messages_in, messages_out, bytes_in, bytes_out,
        duration_ms = duration.as_millis();
        "#{id} {peer} {end} after {duration:.1?}; messages: {messages_in} in, {messages_out} out"
    );
}
