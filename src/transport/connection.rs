//! What the worker of a connection and other threads share.

use std::net::Shutdown;
use std::sync::Arc;

use socket2::Socket;

use super::frame_writer::FrameWriter;
use super::phase::Phase;
use super::record_layer::RecordLayer;
use super::waiting::{AtomicWaiting, Waiting};
use crate::metrics::counters::Counters;
use crate::platform::memory_budget::MemoryBudget;

/// The frame writer, the counters and what the session waits for. All methods may be called from any thread.
#[derive(Debug)]
pub(crate) struct Connection {
    writer: FrameWriter,
    /// Written by the owner of the session, read by all; the push counters are written by any thread.
    counters: Counters,
    /// Stored by the owner at the end of each turn.
    waiting: AtomicWaiting,
}

impl Connection {
    /// Creates the state of an accepted connection in [`Phase::Handshake`].
    pub(crate) fn new(socket: Socket, record_layer: RecordLayer, memory: &Arc<MemoryBudget>) -> Self {
        Self {
            writer: FrameWriter::new(socket, record_layer, memory),
            counters: Counters::default(),
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

    /// Returns what the session waits for, as of its last turn.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.load()
    }

    /// Stores what the session waits for from now on.
    pub(crate) fn set_waiting(&self, waiting: Waiting) {
        self.waiting.store(waiting);
    }

    /// Ends the connection in both directions with `shutdown(2)`, which makes the session ready.
    pub(crate) fn abort(&self) {
        self.writer.advance_to(Phase::Aborted);
        // Fails if the connection has already ended.
        let _ = self.writer.socket().shutdown(Shutdown::Both);
    }

    /// Returns whether [`abort`](Self::abort) was called.
    pub(crate) fn is_aborted(&self) -> bool {
        self.writer.phase() == Phase::Aborted
    }
}
