//! The handle of a session: what its worker, the supervisor and everybody who pushes share.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
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

/// A session as seen from other threads. Cheap to share behind an `Arc`; it keeps the connection's descriptor open,
/// so let go of it when the session ends.
#[derive(Debug)]
pub struct SessionHandle {
    /// Counts up from 1 within a server.
    id: u64,
    /// The other end.
    peer: SocketAddr,
    /// The connection, which the worker's end shares.
    connection: Arc<Connection>,
    /// Whether it got past the handshake.
    upgraded: AtomicBool,
    /// Where the worker waits when its behaviour pauses; a verdict ends it.
    sleeper: CancellableSleep,
    /// The connection ends with a reset, by being closed and not shut down.
    reset_on_close: AtomicBool,
}

/// Why a message was not pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// The session is writing, or its peer reads too slowly: nothing was sent, and a later try may succeed.
    Busy,
    /// The session has not begun, has been closed or has failed: nothing can be sent on it.
    Closed,
}

impl SessionHandle {
    /// The handle of a connection that has just been handed to a worker.
    pub(crate) fn new(id: u64, peer: SocketAddr, socket: TcpStream, wire: RecordLayer) -> Self {
        Self {
            id,
            peer,
            connection: Arc::new(Connection::new(socket, wire)),
            upgraded: AtomicBool::new(false),
            sleeper: CancellableSleep::default(),
            reset_on_close: AtomicBool::new(false),
        }
    }

    /// The session's number within its server, from 1.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The other end.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends a whole message from any thread, without blocking: between two messages of the session's own worker,
    /// never inside one. `Message::Ping` and `Message::Pong` may be pushed too; a Close is the server's to send.
    ///
    /// # Errors
    /// [`PushError::Busy`] and [`PushError::Closed`]; in both cases nothing of the message was sent.
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

    /// The connection, which the worker's end shares.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Everything that goes to the peer.
    pub(crate) fn writer(&self) -> &FrameWriter {
        self.connection.writer()
    }

    /// What the worker has done.
    pub(crate) fn counters(&self) -> &Counters {
        self.connection.counters()
    }

    /// How far the session has come.
    pub(crate) fn phase(&self) -> Phase {
        self.connection.phase()
    }

    /// The session has come as far as `phase`, or farther.
    pub(crate) fn advance_to(&self, phase: Phase) {
        self.connection.advance_to(phase);
    }

    /// Notes why another thread ends the session, unless it has noted a reason before.
    pub(crate) fn set_termination_reason(&self, termination_reason: TerminationReason) {
        self.writer().set_termination_reason(termination_reason);
        self.sleeper.cancel();
    }

    /// Why another thread ended the session, if one did.
    pub(crate) fn termination_reason(&self) -> Option<TerminationReason> {
        self.writer().termination_reason()
    }

    /// Another thread's Close. A worker that is writing is asked to send it behind the frame at hand.
    pub(crate) fn try_close(&self, termination_reason: TerminationReason) -> io::Result<TrySend> {
        let posted = self.writer().try_close(termination_reason)?;
        if self.termination_reason().is_some() {
            self.sleeper.cancel();
        }
        Ok(posted)
    }

    /// The handshake was answered with 101: this is a WebSocket session now.
    pub(crate) fn mark_upgraded(&self) {
        self.upgraded.store(true, Relaxed);
        self.advance_to(Phase::Open);
    }

    /// Whether the handshake was answered with 101.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
    }

    /// The worker is done with the connection. A peer that has not been told so before is told now, if it listens.
    pub(crate) fn finish(&self) {
        self.writer().send_close_notify();
        self.abort();
    }

    /// The last resort: ends the connection both ways, which wakes a worker blocked in a read or a write. Judge
    /// first, because the worker then sees an end of stream or an error that does not tell the reason.
    pub(crate) fn abort(&self) {
        // The peer may have gone already.
        let _ = self.writer().socket().shutdown(Shutdown::Both);
        self.sleeper.cancel();
    }

    /// Another thread's end of a session whose peer does not keep up.
    pub(crate) fn evict_slow_consumer(&self) {
        match self.try_close(TerminationReason::TooSlow) {
            Ok(TrySend::Sent | TrySend::Queued) => self.advance_to(Phase::Closing),
            // Its worker is writing, and closes when it has the lock; a peer that takes nothing at all is cut by the
            // supervisor.
            Ok(TrySend::Busy | TrySend::Closed) => {}
            Err(_) => {
                self.set_termination_reason(TerminationReason::TooSlow);
                self.abort();
            }
        }
    }

    /// Where the worker waits when its behaviour pauses.
    pub(crate) fn sleeper(&self) -> &CancellableSleep {
        &self.sleeper
    }

    /// Has the connection end with a reset, as soon as everybody has let go of it.
    pub(crate) fn reset_on_close(&self) {
        self.reset_on_close.store(true, Relaxed);
    }

    /// Whether the connection is to end with a reset, which a `shutdown(2)` would forestall.
    pub(crate) fn resets_on_close(&self) -> bool {
        self.reset_on_close.load(Relaxed)
    }
}
