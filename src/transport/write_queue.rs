//! The bytes that wait behind an outbox's lock: whole frames, and what may still be added to them.

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, OpCode};

use super::record_layer::RecordLayer;

/// The queue is written out when it grows past this, in bytes, so that a long burst cannot fill memory. With 32 KiB,
/// messages of 8 KiB came to a tenth fewer; whole segments of 64 KiB leave the peer without work meanwhile.
pub(super) const FLUSH_THRESHOLD: usize = 48 << 10;

/// Longest reason of a Close frame, in bytes (RFC 6455, 5.5: 125 bytes of payload less the code).
const REASON_LIMIT: usize = 123;

/// The bytes behind the lock.
#[derive(Debug)]
pub(super) struct WriteQueue {
    /// What may be added.
    pub(super) state: WriteState,
    /// Whole frames, in the order in which they go out; the first may have gone out in part.
    pub(super) bytes: Vec<u8>,
    /// Takes them from here.
    pub(super) wire: RecordLayer,
    /// The worker has begun a message in fragments and not ended it.
    inside_message: bool,
}

/// What the connection is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteState {
    /// The answer to the request head has not been queued: frames would arrive in front of it.
    Handshake,
    /// Frames may go out.
    Open,
    /// A Close or a final answer was queued: nothing may follow (RFC 6455, 5.5.1).
    CloseQueued,
}

impl WriteQueue {
    /// The queue of a connection whose handshake has not begun.
    pub(super) fn new(wire: RecordLayer) -> Self {
        Self { state: WriteState::Handshake, bytes: Vec::new(), wire, inside_message: false }
    }

    /// Notes whether the worker's frame leaves a message open.
    pub(super) fn note_frame(&mut self, header: &FrameHeader) {
        if matches!(header.opcode, OpCode::Data(_)) {
            self.inside_message = !header.is_final;
        }
    }

    /// Whether this frame of another thread would fall between the fragments of a message, where only control frames
    /// may (RFC 6455, 5.4).
    pub(super) fn is_inside_message_of(&self, header: &FrameHeader) -> bool {
        self.inside_message && matches!(header.opcode, OpCode::Data(_))
    }

    /// Adds the header of a frame whose payload of `length` bytes follows.
    pub(super) fn append_header(&mut self, header: &FrameHeader, length: usize) {
        let formatted = header.format(length as u64, &mut self.bytes);
        debug_assert!(formatted.is_ok(), "a vector takes every byte");
    }

    /// Adds a Close frame and seals.
    pub(super) fn append_close(&mut self, code: u16, reason: &str) {
        let mut end = reason.len().min(REASON_LIMIT);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let header = FrameHeader { opcode: OpCode::Control(Control::Close), ..FrameHeader::default() };
        self.append_header(&header, 2 + end);
        self.bytes.extend_from_slice(&code.to_be_bytes());
        self.bytes.extend_from_slice(&reason.as_bytes()[..end]);
        self.state = WriteState::CloseQueued;
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.wire.wants_write()
    }

    /// Forgets what was written, and gives memory back that only a large burst needed.
    pub(super) fn empty(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > FLUSH_THRESHOLD {
            self.bytes = Vec::new();
        }
    }
}

/// A frame header of a single unmasked data frame.
pub(crate) fn single_frame_header(opcode: OpCode) -> FrameHeader {
    FrameHeader { opcode, ..FrameHeader::default() }
}

/// The opcode of a Close frame (RFC 6455, 11.8).
pub(super) const CLOSE: u8 = 0x8;

/// Whether the first byte of a frame is that of a Pong (RFC 6455, 11.8).
pub(crate) fn is_pong(first: u8) -> bool {
    opcode_bits(first) == 0xA
}

/// The opcode in the first byte of a frame.
pub(super) fn opcode_bits(first: u8) -> u8 {
    first & 0x0F
}
