//! The handle of a session, shared by its worker, the supervisor and threads that push messages.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tungstenite::Message;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::cancellable_sleep::CancellableSleep;
use crate::metrics::counters::Counters;
use crate::transport::connection::{Connection, Phase};
use crate::transport::frame_writer::FrameWriter;
use crate::transport::record_layer::RecordLayer;
use crate::transport::termination::TerminationReason;
use crate::transport::try_send::TrySend;
use crate::transport::write_queue::single_frame_header;

/// A session, for other threads. Share it in an `Arc`, and drop it when the session ends: it keeps the socket's
/// descriptor open.
#[derive(Debug)]
pub struct SessionHandle {
    /// Number of the connection among those that workers of the server have taken, from 1.
    id: u64,
    peer: SocketAddr,
    /// Shared with the worker's stream.
    connection: Arc<Connection>,
    /// Whether the 101 response was queued.
    upgraded: AtomicBool,
    /// The sleep of a worker that must not read. Termination cancels it.
    sleeper: CancellableSleep,
    /// Whether the socket is closed with a RST, that is without `shutdown(2)` before.
    reset_on_close: AtomicBool,
    /// Whether the connection was ended with `shutdown(2)`.
    aborted: AtomicBool,
}

/// Why a message was not pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// The worker is writing or inside a fragmented message, or too many unsent bytes are queued. A later call may
    /// succeed.
    Busy,
    /// The session is not open yet, is closed, or has failed.
    Closed,
}

impl SessionHandle {
    /// Creates the handle of a connection that a worker has taken.
    pub(crate) fn new(id: u64, peer: SocketAddr, socket: TcpStream, record_layer: RecordLayer) -> Self {
        Self {
            id,
            peer,
            connection: Arc::new(Connection::new(socket, record_layer)),
            upgraded: AtomicBool::new(false),
            sleeper: CancellableSleep::default(),
            reset_on_close: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
        }
    }

    /// Returns the number of the connection among those that workers of the server have taken, from 1.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the peer's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends a whole text, binary, Ping or Pong message from any thread, between two messages of the worker; a Ping or
    /// Pong also between two fragments of a message. Does not block. Bytes that the kernel does not take at once are
    /// sent later.
    ///
    /// # Errors
    /// Returns [`PushError::Busy`] or [`PushError::Closed`] if nothing was sent. A Close or a raw frame is always
    /// [`PushError::Closed`].
    pub fn push(&self, message: &Message) -> Result<(), PushError> {
        let (opcode, payload): (_, &[u8]) = match message {
            Message::Text(text) => (OpCode::Data(Data::Text), text.as_ref()),
            Message::Binary(bytes) => (OpCode::Data(Data::Binary), bytes),
            Message::Ping(bytes) => (OpCode::Control(Control::Ping), bytes),
            Message::Pong(bytes) => (OpCode::Control(Control::Pong), bytes),
            Message::Close(_) | Message::Frame(_) => return Err(PushError::Closed),
        };
        match self.writer().try_send(&single_frame_header(opcode), payload) {
            Ok(TrySend::Sent | TrySend::Queued) => {}
            Ok(TrySend::Busy) => return Err(PushError::Busy),
            Ok(TrySend::Closed) | Err(_) => return Err(PushError::Closed),
        }
        if matches!(opcode, OpCode::Data(_)) {
            self.counters().pushed.fetch_add(1, Relaxed);
            self.counters().pushed_bytes.fetch_add(payload.len() as u64, Relaxed);
        }
        Ok(())
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
        self.connection.phase()
    }

    /// Advances to `phase`, unless the session is already in a later one.
    pub(crate) fn advance_to(&self, phase: Phase) {
        self.connection.advance_to(phase);
    }

    /// Records why another thread terminates the session and cancels the worker's sleep. The first recorded reason
    /// stays.
    pub(crate) fn set_termination_reason(&self, termination_reason: TerminationReason) {
        self.writer().set_termination_reason(termination_reason);
        self.sleeper.cancel();
    }

    /// Returns why another thread terminated the session, or `None` if none did.
    pub(crate) fn termination_reason(&self) -> Option<TerminationReason> {
        self.writer().termination_reason()
    }

    /// Sends the Close of `termination_reason` from any thread, without blocking. If the worker is writing, returns
    /// [`TrySend::Busy`], and the worker sends the Close after the current frame.
    ///
    /// # Errors
    /// Returns the error of the socket or of the TLS layer.
    pub(crate) fn try_close(&self, termination_reason: TerminationReason) -> io::Result<TrySend> {
        let result = self.writer().try_close(termination_reason)?;
        if self.termination_reason().is_some() {
            self.sleeper.cancel();
        }
        Ok(result)
    }

    /// Records that the 101 response was queued, and advances to [`Phase::Open`].
    pub(crate) fn mark_upgraded(&self) {
        self.upgraded.store(true, Relaxed);
        self.advance_to(Phase::Open);
    }

    /// Returns whether the 101 response was queued.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
    }

    /// Ends the connection when its worker has finished. Sends a TLS `close_notify` without blocking, then aborts.
    pub(crate) fn finish(&self) {
        self.writer().send_close_notify();
        self.abort();
    }

    /// Ends the connection in both directions with `shutdown(2)`, which wakes a worker blocked in a read or a write.
    /// Call [`set_termination_reason`](Self::set_termination_reason) first, because a read or write
    /// error does not show the worker the reason.
    ///
    /// The kernel still returns bytes that have arrived, so the worker also checks [`is_aborted`](Self::is_aborted).
    pub(crate) fn abort(&self) {
        self.connection.abort();
        self.sleeper.cancel();
    }

    /// Returns whether [`abort`](Self::abort) was called.
    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Relaxed)
    }

    /// Evicts the session from another thread because its peer reads too slowly: sends a Close, or aborts if the
    /// connection failed. Does not block.
    pub(crate) fn evict_slow_consumer(&self) {
        match self.try_close(TerminationReason::TooSlow) {
            Ok(TrySend::Sent | TrySend::Queued) => self.advance_to(Phase::Closing),
            // Busy: the worker sends the Close after its write, or the supervisor aborts at the write time-out.
            Ok(TrySend::Busy | TrySend::Closed) => {}
            Err(_) => {
                self.set_termination_reason(TerminationReason::TooSlow);
                self.abort();
            }
        }
    }

    /// Returns the sleep of a worker that must not read.
    pub(crate) fn sleeper(&self) -> &CancellableSleep {
        &self.sleeper
    }

    /// Records that `shutdown(2)` must not be called before the socket is closed, because it would send a FIN. The
    /// RST itself needs `SO_LINGER`, which `fault_injection` sets.
    pub(crate) fn reset_on_close(&self) {
        self.reset_on_close.store(true, Relaxed);
    }

    /// Returns whether [`reset_on_close`](Self::reset_on_close) was called.
    pub(crate) fn resets_on_close(&self) -> bool {
        self.reset_on_close.load(Relaxed)
    }
}
