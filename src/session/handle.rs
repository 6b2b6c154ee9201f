//! The handle of a session, shared by its worker, the supervisor and threads that push messages.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use socket2::Socket;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::{Bytes, Message};

use super::peer::Peer;
use crate::metrics::counters::Counters;
use crate::platform::memory_budget::MemoryBudget;
use crate::platform::readiness::ReadinessSet;
use crate::platform::turn_state::TurnState;
use crate::transport::connection::Connection;
use crate::transport::frame_writer::FrameWriter;
use crate::transport::phase::Phase;
use crate::transport::proxy_header::ProxiedConnection;
use crate::transport::push::Pushed;
use crate::transport::record_layer::RecordLayer;
use crate::transport::termination::TerminationReason;
use crate::transport::waiting::Waiting;
use crate::transport::write_queue::single_frame_header;

/// A session, for other threads. Share it in an `Arc`, and drop it when the session ends: it keeps the
/// socket's descriptor open.
#[derive(Debug)]
pub struct SessionHandle {
    /// Number of the connection among those that the server has served, from 1.
    id: u64,
    /// The peer of the socket.
    socket_peer: Peer,
    /// What the PROXY header said, if there was one.
    proxied: OnceLock<Box<ProxiedConnection>>,
    /// The client that a trusted proxy has named in the request, and the field that names it.
    forwarded: OnceLock<Box<(Peer, &'static str)>>,
    /// Shared with the worker's stream.
    connection: Arc<Connection>,
    /// Whether the 101 response was queued.
    upgraded: AtomicBool,
    /// Whether the request waits for a place.
    queued: AtomicBool,
    /// Which thread owns the session.
    turn: TurnState,
    readiness: Arc<ReadinessSet>,
}

/// Why a message was not pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// The session is inside a fragmented message, too many unsent bytes are queued, or the server is short
    /// of memory. A later call may succeed.
    Busy,
    /// The session is not open yet, is closed, or has failed.
    Closed,
}

impl SessionHandle {
    /// Creates the handle of an accepted connection. The socket must be non-blocking. `memory` counts unsent
    /// bytes.
    pub(crate) fn new(
        id: u64,
        peer: Peer,
        socket: Socket,
        readiness: Arc<ReadinessSet>,
        memory: &Arc<MemoryBudget>,
    ) -> Self {
        Self {
            id,
            socket_peer: peer,
            proxied: OnceLock::new(),
            forwarded: OnceLock::new(),
            connection: Arc::new(Connection::new(socket, RecordLayer::Plain, memory)),
            upgraded: AtomicBool::new(false),
            queued: AtomicBool::new(false),
            turn: TurnState::default(),
            readiness,
        }
    }

    /// Returns the number of the connection among those that the server has served, from 1.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns where the client is: behind a proxy the address that the proxy has named.
    #[must_use]
    pub fn peer(&self) -> Peer {
        let proxied = || self.proxied.get().and_then(|proxied| proxied.source);
        match self.forwarded.get() {
            Some(forwarded) => forwarded.0,
            None => proxied().map_or(self.socket_peer, Peer::from),
        }
    }

    /// Returns the name of the header field that names the client, or `None` if it is not from one.
    #[must_use]
    pub fn forwarded_by(&self) -> Option<&'static str> {
        self.forwarded.get().map(|forwarded| forwarded.1)
    }

    /// Returns the peer of the socket, which may be a proxy.
    #[must_use]
    pub fn socket_peer(&self) -> Peer {
        self.socket_peer
    }

    /// Returns what the PROXY header of the connection said, or `None` if there was none.
    #[must_use]
    pub fn proxied(&self) -> Option<&ProxiedConnection> {
        self.proxied.get().map(|proxied| &**proxied)
    }

    /// Records the client that a trusted proxy has named in the header field `field`. Only the first call has
    /// an effect.
    pub(crate) fn set_forwarded(&self, client: Peer, field: &'static str) {
        let _ = self.forwarded.set(Box::new((client, field)));
    }

    /// Records what the PROXY header said. Only the first call has an effect.
    pub(crate) fn set_proxied(&self, proxied: Box<ProxiedConnection>) {
        let _ = self.proxied.set(proxied);
    }

    /// Sends a whole text, binary, Ping or Pong message from any thread, between two messages of the
    /// endpoint; a Ping or Pong also between two fragments of a message. Does not block. Bytes that the
    /// kernel does not take at once are sent when it has room.
    ///
    /// # Errors
    /// Returns [`PushError::Busy`] or [`PushError::Closed`] if nothing was sent. A Close or a raw frame is
    /// always [`PushError::Closed`].
    pub fn push(&self, message: &Message) -> Result<(), PushError> {
        let (opcode, payload) = opcode_and_payload(message).ok_or(PushError::Closed)?;
        let pushed = self.writer().push(&single_frame_header(opcode), &payload);
        self.count_pushed(&pushed, opcode, payload.len())
    }

    /// Queues whole data frames with `messages` messages and `payload_bytes` bytes of payload, without
    /// sending them: [`flush`](Self::flush) does, or the next turn of the session. A queue that is not empty
    /// takes `limit` bytes. Returns the number of bytes in the queue.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub(crate) fn push_frames(
        &self,
        frames: &Bytes,
        messages: u64,
        payload_bytes: u64,
        limit: usize,
    ) -> Result<usize, PushError> {
        let queued = match self.writer().push_frames(frames, limit) {
            Ok((Pushed::Sent | Pushed::Blocked, queued)) => queued,
            Ok((Pushed::Full, _)) => return Err(PushError::Busy),
            Ok((Pushed::Closed, _)) | Err(_) => return Err(PushError::Closed),
        };
        self.counters().pushed.fetch_add(messages, Relaxed);
        self.counters().pushed_bytes.fetch_add(payload_bytes, Relaxed);
        Ok(queued)
    }

    fn count_pushed(
        &self,
        pushed: &io::Result<Pushed>,
        opcode: OpCode,
        length: usize,
    ) -> Result<(), PushError> {
        match pushed {
            Ok(Pushed::Sent) => {}
            Ok(Pushed::Blocked) => self.wake(),
            Ok(Pushed::Full) => return Err(PushError::Busy),
            Ok(Pushed::Closed) | Err(_) => return Err(PushError::Closed),
        }
        if matches!(opcode, OpCode::Data(_)) {
            self.counters().pushed.fetch_add(1, Relaxed);
            self.counters().pushed_bytes.fetch_add(length as u64, Relaxed);
        }
        Ok(())
    }

    /// Sends the messages of [`push_frames`](Self::push_frames). Does not block. An error of the socket ends
    /// the session in its next turn.
    pub(crate) fn flush(&self) {
        match self.writer().flush_from_other_thread() {
            Ok(Pushed::Blocked) | Err(_) => self.wake(),
            Ok(_) => {}
        }
    }

    /// Sends an empty Ping from any thread. Returns whether it was sent or queued.
    ///
    /// # Errors
    /// The error of the socket or of the TLS layer.
    pub(crate) fn send_ping(&self) -> io::Result<bool> {
        let ping = single_frame_header(OpCode::Control(Control::Ping));
        let pushed = self.writer().push(&ping, &Bytes::new())?;
        Ok(self.wake_if_blocked(pushed))
    }

    /// Sends the Close of `termination_reason` from any thread, without blocking. Returns `false` if a Close
    /// was sent before, or the session is not open.
    ///
    /// # Errors
    /// The error of the socket or of the TLS layer.
    pub(crate) fn terminate(&self, termination_reason: TerminationReason) -> io::Result<bool> {
        let pushed = self.writer().terminate(termination_reason)?;
        Ok(self.wake_if_blocked(pushed))
    }

    /// Sends the final response to a client in its handshake from any thread, without blocking. Returns
    /// `false` if a response was sent before.
    ///
    /// # Errors
    /// Those of [`FrameWriter::respond`].
    pub(crate) fn respond(&self, response: &[u8], termination_reason: TerminationReason) -> io::Result<bool> {
        let pushed = self.writer().respond(response, termination_reason)?;
        Ok(self.wake_if_blocked(pushed))
    }

    /// Lets the session wait for room in its socket if the bytes were not all sent. Returns whether they were
    /// added.
    fn wake_if_blocked(&self, pushed: Pushed) -> bool {
        if pushed == Pushed::Blocked {
            self.wake();
        }
        matches!(pushed, Pushed::Sent | Pushed::Blocked)
    }

    /// Gives the session a turn on a worker.
    pub(crate) fn wake(&self) {
        if self.turn.schedule() {
            self.readiness.schedule(self.id);
        }
    }

    /// Returns which thread owns the session.
    pub(crate) fn turn(&self) -> &TurnState {
        &self.turn
    }

    /// Returns the connection, for the worker's stream.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Returns the frame writer.
    pub(crate) fn writer(&self) -> &FrameWriter {
        self.connection.writer()
    }

    /// Returns the counters.
    pub(crate) fn counters(&self) -> &Counters {
        self.connection.counters()
    }

    /// Returns the current phase.
    pub(crate) fn phase(&self) -> Phase {
        self.writer().phase()
    }

    /// Advances to `phase`, unless the session is already in a later one.
    pub(crate) fn advance_to(&self, phase: Phase) {
        self.writer().advance_to(phase);
    }

    /// Returns what the session waits for, or `None` while a worker has it or will have it.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        self.turn.is_waiting().then(|| self.connection.waiting())
    }

    /// Records why another thread terminates the session. The first recorded reason stays.
    pub(crate) fn set_termination_reason(&self, termination_reason: TerminationReason) {
        self.writer().set_termination_reason(termination_reason);
    }

    /// Returns why another thread terminated the session, or `None` if none did.
    pub(crate) fn termination_reason(&self) -> Option<TerminationReason> {
        self.writer().termination_reason()
    }

    /// Records whether the request waits for a place.
    pub(crate) fn set_queued(&self, queued: bool) {
        self.queued.store(queued, Relaxed);
    }

    /// Returns whether the request waits for a place.
    pub(crate) fn is_queued(&self) -> bool {
        self.queued.load(Relaxed)
    }

    /// Records that the 101 response was queued.
    pub(crate) fn mark_upgraded(&self) {
        self.upgraded.store(true, Relaxed);
    }

    /// Returns whether the 101 response was queued.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
    }

    /// Ends the connection when its session has ended. Sends a TLS `close_notify` without blocking, then
    /// aborts.
    pub(crate) fn finish(&self) {
        self.writer().send_close_notify();
        self.abort();
    }

    /// Ends the connection in both directions with `shutdown(2)`, which makes the session ready.
    /// Call [`set_termination_reason`](Self::set_termination_reason) first, because a read or write
    /// error does not show the worker the reason.
    ///
    /// The kernel still returns bytes that have arrived, so the worker also checks the phase.
    pub(crate) fn abort(&self) {
        self.connection.abort();
    }

    /// Ends the session from another thread: sends the Close of `reason`, or aborts if the connection failed.
    /// Does not block.
    pub(crate) fn evict(&self, reason: TerminationReason) {
        if self.terminate(reason).is_err() {
            self.set_termination_reason(reason);
            self.abort();
        }
    }

    /// Returns the set in which the session waits.
    pub(crate) fn readiness(&self) -> &Arc<ReadinessSet> {
        &self.readiness
    }
}

/// Returns the opcode and the payload of a message that can be pushed.
fn opcode_and_payload(message: &Message) -> Option<(OpCode, Bytes)> {
    Some(match message {
        Message::Text(text) => (OpCode::Data(Data::Text), Bytes::from(text.clone())),
        Message::Binary(bytes) => (OpCode::Data(Data::Binary), bytes.clone()),
        Message::Ping(bytes) => (OpCode::Control(Control::Ping), bytes.clone()),
        Message::Pong(bytes) => (OpCode::Control(Control::Pong), bytes.clone()),
        Message::Close(_) | Message::Frame(_) => return None,
    })
}
