//! The state that a frame writer's lock protects: the queue of frames, and which frames may still be added.

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, OpCode};

use super::record_layer::RecordLayer;

/// The worker sends the queue when it grows past this, in bytes. Bounds the memory that a burst of messages
/// takes. With 32 KiB a tenth fewer messages of 8 KiB are echoed; see scripts/TUNING.md.
pub(super) const FLUSH_THRESHOLD: usize = 48 << 10;

/// Longest reason of a Close frame, in bytes: a payload of 125 less the code (RFC 6455, 5.5).
const CLOSE_REASON_MAX: usize = 123;

/// Frames that wait to be sent.
#[derive(Debug)]
pub(super) struct WriteQueue {
    /// Which bytes may be added.
    pub(super) state: WriteState,
    /// Whole frames in sending order. Of the first frame a part may have been sent and removed.
    pub(super) bytes: Vec<u8>,
    /// Sends `bytes`, as they are or encrypted.
    pub(super) record_layer: RecordLayer,
    /// The last data frame was not the final fragment of its message.
    inside_message: bool,
}

/// Which bytes may be added to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteState {
    /// Only a response to the request head. Frames would precede the response.
    Handshake,
    /// Frames.
    Open,
    /// None: a Close frame or a final response was queued, or a write failed (RFC 6455, 5.5.1).
    CloseQueued,
}

impl WriteQueue {
    /// Creates the queue of a connection whose handshake has not begun.
    pub(super) fn new(record_layer: RecordLayer) -> Self {
        Self { state: WriteState::Handshake, bytes: Vec::new(), record_layer, inside_message: false }
    }

    /// Records whether the worker's frame leaves a fragmented message unfinished.
    pub(super) fn track_fragments(&mut self, header: &FrameHeader) {
        if matches!(header.opcode, OpCode::Data(_)) {
            self.inside_message = !header.is_final;
        }
    }

    /// Returns whether another thread's frame would fall between two fragments of the worker's message, where
    /// only control frames are allowed (RFC 6455, 5.4).
    pub(super) fn would_split_message(&self, header: &FrameHeader) -> bool {
        self.inside_message && matches!(header.opcode, OpCode::Data(_))
    }

    /// Adds the header of a frame with a payload of `length` bytes. The caller adds the payload.
    pub(super) fn append_header(&mut self, header: &FrameHeader, length: usize) {
        let formatted = header.format(length as u64, &mut self.bytes);
        debug_assert!(formatted.is_ok(), "writing to a vector cannot fail");
    }

    /// Adds a Close frame and sets [`WriteState::CloseQueued`]. Shortens `reason` to 123 bytes, at a
    /// character boundary.
    pub(super) fn append_close(&mut self, code: u16, reason: &str) {
        let mut end = reason.len().min(CLOSE_REASON_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let header = FrameHeader { opcode: OpCode::Control(Control::Close), ..FrameHeader::default() };
        self.append_header(&header, 2 + end);
        self.bytes.extend_from_slice(&code.to_be_bytes());
        self.bytes.extend_from_slice(&reason.as_bytes()[..end]);
        self.state = WriteState::CloseQueued;
    }

    /// Returns whether there is nothing to send, neither frames nor TLS records.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.record_layer.wants_write()
    }

    /// Removes the bytes that were sent. Frees the buffer if it is larger than [`FLUSH_THRESHOLD`].
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > FLUSH_THRESHOLD {
            self.bytes = Vec::new();
        }
    }
}

/// Returns the header of an unfragmented, unmasked frame.
pub(crate) fn single_frame_header(opcode: OpCode) -> FrameHeader {
    FrameHeader { opcode, ..FrameHeader::default() }
}
