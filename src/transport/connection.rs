//! One connection as its worker and other threads share it.

use std::net::TcpStream;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use super::frame_writer::FrameWriter;
use super::record_layer::RecordLayer;
use crate::metrics::counters::Counters;

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

/// The writing half of a connection, the counters of its worker, and how far it has come.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Everything that goes to the peer.
    writer: FrameWriter,
    /// What the worker has done, written by it alone.
    counters: Counters,
    /// How far the session has come; only ever moves forward.
    phase: AtomicU8,
}

impl Connection {
    /// A connection whose handshake has not begun.
    pub(crate) fn new(socket: TcpStream, wire: RecordLayer) -> Self {
        Self {
            writer: FrameWriter::new(socket, wire),
            counters: Counters::default(),
            phase: AtomicU8::new(Phase::Handshake as u8),
        }
    }

    /// Everything that goes to the peer.
    pub(crate) fn writer(&self) -> &FrameWriter {
        &self.writer
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
    pub(crate) fn advance_to(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Relaxed);
    }
}
