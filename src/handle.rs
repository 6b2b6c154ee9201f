//! The handle of a session: what its worker, the supervisor and everybody who pushes share.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

use tungstenite::Message;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::pause::Pause;
use crate::transport::outbox::{Outbox, Posted};
use crate::transport::queue::header_of;
use crate::transport::wire::Wire;
use crate::verdict::Verdict;

/// A session as seen from other threads. Cheap to share behind an `Arc`; it keeps the connection's descriptor open,
/// so let go of it when the session ends.
#[derive(Debug)]
pub struct SessionHandle {
    /// Counts up from 1 within a server.
    id: u64,
    /// The other end.
    peer: SocketAddr,
    /// Everything that goes to the peer.
    outbox: Outbox,
    /// What the worker has done, written by it alone.
    counters: Counters,
    /// How far the session has come; only ever moves forward.
    phase: AtomicU8,
    /// Whether it got past the handshake.
    upgraded: AtomicBool,
    /// Where the worker waits when its behaviour pauses; a verdict ends it.
    pause: Pause,
    /// The connection ends with a reset, by being closed and not shut down.
    abandoned: AtomicBool,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The request head is being read and answered.
    Handshake,
    /// Frames go both ways.
    Open,
    /// A Close has gone out; the peer's is awaited.
    Closing,
    /// All is said; the peer's end of stream is awaited.
    Lingering,
}

/// What a worker has done, in relaxed atomics that it alone writes. The supervisor reads them once a tick.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Reads from the socket that returned bytes: the sign of life.
    pub(crate) reads: Tally,
    /// Data messages received.
    pub(crate) messages_in: Tally,
    /// Data messages sent, less those that were pushed.
    pub(crate) messages_out: Tally,
    /// Payload of the data messages received, in bytes.
    pub(crate) bytes_in: Tally,
    /// Payload of the data messages sent, less those that were pushed, in bytes.
    pub(crate) bytes_out: Tally,
    /// Pings received.
    pub(crate) pings_in: Tally,
    /// Pings that the session's behaviour sent; the supervisor counts its own.
    pub(crate) pings_out: Tally,
    /// Pongs received.
    pub(crate) pongs_in: Tally,
    /// Messages that other threads pushed.
    pub(crate) pushed: AtomicU64,
    /// Payload of the messages that other threads pushed, in bytes.
    pub(crate) pushed_bytes: AtomicU64,
}

/// A counter with a single writer: adding is a load and a store, without the locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    /// Adds; for the one thread that writes this counter.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// The count so far, from any thread.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
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
    pub(crate) fn new(id: u64, peer: SocketAddr, socket: TcpStream, wire: Wire) -> Self {
        Self {
            id,
            peer,
            outbox: Outbox::new(socket, wire),
            counters: Counters::default(),
            phase: AtomicU8::new(Phase::Handshake as u8),
            upgraded: AtomicBool::new(false),
            pause: Pause::default(),
            abandoned: AtomicBool::new(false),
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
        match self.outbox.post(&header_of(opcode), payload) {
            Ok(Posted::Sent | Posted::Queued) => {}
            Ok(Posted::Busy) => return Err(PushError::Busy),
            Ok(Posted::Refused) | Err(_) => return Err(PushError::Closed),
        }
        if matches!(opcode, OpCode::Data(_)) {
            self.counters.pushed.fetch_add(1, Relaxed);
            self.counters.pushed_bytes.fetch_add(payload.len() as u64, Relaxed);
        }
        Ok(())
    }

    /// Everything that goes to the peer.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// What the worker has done.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How far the session has come.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Handshake,
            1 => Phase::Open,
            2 => Phase::Closing,
            _ => Phase::Lingering,
        }
    }

    /// The session has come as far as `phase`, or farther.
    pub(crate) fn reach(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Relaxed);
    }

    /// Notes why another thread ends the session, unless it has noted a reason before.
    pub(crate) fn judge(&self, verdict: Verdict) {
        self.outbox.judge(verdict);
        self.pause.end();
    }

    /// Why another thread ended the session, if one did.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.outbox.verdict()
    }

    /// Another thread's Close. A worker that is writing is asked to send it behind the frame at hand.
    pub(crate) fn post_close(&self, verdict: Verdict) -> io::Result<Posted> {
        let posted = self.outbox.post_close(verdict)?;
        if self.verdict().is_some() {
            self.pause.end();
        }
        Ok(posted)
    }

    /// The handshake was answered with 101: this is a WebSocket session now.
    pub(crate) fn upgrade(&self) {
        self.upgraded.store(true, Relaxed);
        self.reach(Phase::Open);
    }

    /// Whether the handshake was answered with 101.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
    }

    /// The worker is done with the connection. A peer that has not been told so before is told now, if it listens.
    pub(crate) fn leave(&self) {
        self.outbox.leave();
        self.cut();
    }

    /// The last resort: ends the connection both ways, which wakes a worker blocked in a read or a write. Judge
    /// first, because the worker then sees an end of stream or an error that does not tell the reason.
    pub(crate) fn cut(&self) {
        // The peer may have gone already.
        let _ = self.outbox.socket().shutdown(Shutdown::Both);
        self.pause.end();
    }

    /// Another thread's end of a session whose peer does not keep up.
    pub(crate) fn expel(&self) {
        match self.post_close(Verdict::TooSlow) {
            Ok(Posted::Sent | Posted::Queued) => self.reach(Phase::Closing),
            // Its worker is writing, and closes when it has the lock; a peer that takes nothing at all is cut by the
            // supervisor.
            Ok(Posted::Busy | Posted::Refused) => {}
            Err(_) => {
                self.judge(Verdict::TooSlow);
                self.cut();
            }
        }
    }

    /// Where the worker waits when its behaviour pauses.
    pub(crate) fn pause(&self) -> &Pause {
        &self.pause
    }

    /// Has the connection end with a reset, as soon as everybody has let go of it.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Relaxed);
    }

    /// Whether the connection is to end with a reset, which a `shutdown(2)` would forestall.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Relaxed)
    }
}

impl Counters {
    /// Data messages sent, by the worker and by those who push.
    pub(crate) fn all_messages_out(&self) -> u64 {
        self.messages_out.get() + self.pushed.load(Relaxed)
    }

    /// Their payload, in bytes.
    pub(crate) fn all_bytes_out(&self) -> u64 {
        self.bytes_out.get() + self.pushed_bytes.load(Relaxed)
    }
}
