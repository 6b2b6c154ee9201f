//! What the worker of a connection and other threads share.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

use super::frame_writer::FrameWriter;
use super::record_layer::RecordLayer;
use super::waiting::{AtomicWaiting, Waiting};
use crate::metrics::counters::Counters;

/// The progress of a connection, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// From the accept to the response to the request head.
    Handshake,
    /// Data frames may be sent and received.
    Open,
    /// The server sent a Close frame and waits for the peer's Close.
    Closing,
    /// The server sends nothing more and waits for the peer's end of stream.
    Lingering,
}

/// The frame writer, the counters and the phase of one connection. All methods may be called from any thread.
#[derive(Debug)]
pub(crate) struct Connection {
    writer: FrameWriter,
    /// Written by the worker, read by all; the push counters are written by any thread.
    counters: Counters,
    /// A [`Phase`]. Never decreases.
    phase: AtomicU8,
    /// [`abort`](Self::abort) was called.
    aborted: AtomicBool,
    /// Stored by the worker.
    waiting: AtomicWaiting,
}

impl Connection {
    /// Creates the state of an accepted connection in [`Phase::Handshake`].
    pub(crate) fn new(socket: TcpStream, record_layer: RecordLayer) -> Self {
        Self {
            writer: FrameWriter::new(socket, record_layer),
            counters: Counters::default(),
            phase: AtomicU8::new(Phase::Handshake as u8),
            aborted: AtomicBool::new(false),
            waiting: AtomicWaiting::default(),
        }
    }

    /// Returns the frame writer, which sends everything that this connection sends.
    pub(crate) fn writer(&self) -> &FrameWriter {
        &self.writer
    }

    /// Returns the traffic counters.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the current phase.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Handshake,
            1 => Phase::Open,
            2 => Phase::Closing,
            _ => Phase::Lingering,
        }
    }

    /// Sets the phase to `phase`, unless the connection is in a later one.
    pub(crate) fn advance_to(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Relaxed);
    }

    /// Returns what the worker waits for.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.load()
    }

    /// Stores what the worker waits for from now on.
    pub(super) fn set_waiting(&self, waiting: Waiting) {
        self.waiting.store(waiting);
    }

    /// Ends the connection in both directions with `shutdown(2)`, which wakes a worker blocked in a read or a
    /// write.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Relaxed);
        // Fails if the connection has already ended.
        let _ = self.writer.socket().shutdown(Shutdown::Both);
    }

    /// Returns whether [`abort`](Self::abort) was called.
    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Relaxed)
    }
}
