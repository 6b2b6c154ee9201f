//! What waits to be sent to one peer: whole frames, in order.
//!
//! Small frames gather in one buffer. A large payload that the kernel did not take at once is kept as it is,
//! without a copy, so that a message to many peers is in memory once.

use std::collections::VecDeque;
use std::sync::Arc;

use tungstenite::Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, OpCode};

use super::parts::Parts;
use super::record_layer::RecordLayer;
use crate::platform::memory_budget::{MemoryBudget, Reservation};

/// The worker sends the queue when it grows past this, in bytes. Bounds the memory that a burst of messages
/// takes. With 32 KiB a tenth fewer messages of 8 KiB are echoed; see scripts/TUNING.md.
pub(super) const FLUSH_THRESHOLD: usize = 48 << 10;

/// Longest reason of a Close frame, in bytes: a payload of 125 less the code (RFC 6455, 5.5).
const CLOSE_REASON_MAX: usize = 123;

/// Frames that wait to be sent.
#[derive(Debug)]
pub(super) struct WriteQueue {
    /// Sent first. Of the first one a part may have been sent and removed.
    chunks: VecDeque<Bytes>,
    /// Frames behind `chunks`, and how many of their bytes were sent.
    gathered: Vec<u8>,
    gathered_sent: usize,
    /// Bytes in `chunks`.
    chunk_bytes: usize,
    /// Sends the bytes, as they are or encrypted.
    pub(super) record_layer: RecordLayer,
    /// The last data frame was not the final fragment of its message.
    inside_message: bool,
    /// Bytes of chunks that nothing else uses, as of the last count.
    own_chunk_bytes: usize,
    memory: Reservation,
}

impl WriteQueue {
    /// Creates the queue of a connection whose handshake has not begun.
    pub(super) fn new(record_layer: RecordLayer, memory: &Arc<MemoryBudget>) -> Self {
        Self {
            chunks: VecDeque::new(),
            gathered: Vec::new(),
            gathered_sent: 0,
            chunk_bytes: 0,
            record_layer,
            inside_message: false,
            own_chunk_bytes: 0,
            memory: Reservation::new(memory),
        }
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

    /// Returns whether the worker's last data frame left a fragmented message unfinished.
    pub(super) fn is_inside_message(&self) -> bool {
        self.inside_message
    }

    /// Adds bytes. Copies them.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
    }

    /// Adds bytes without a copy.
    pub(super) fn append_shared(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        if self.gathered_len() > 0 {
            let mut before = Bytes::from(std::mem::take(&mut self.gathered));
            before = before.slice(std::mem::take(&mut self.gathered_sent)..);
            self.chunk_bytes += before.len();
            self.chunks.push_back(before);
        }
        self.chunk_bytes += bytes.len();
        self.chunks.push_back(bytes);
    }

    /// Counts the memory of the queue. Chunks that others use, such as messages of a room, are counted by
    /// those, or by the last one that is left.
    pub(super) fn count_memory(&mut self) {
        let own = self.chunks.iter().filter(|chunk| chunk.is_unique());
        self.own_chunk_bytes = own.map(Bytes::len).sum();
        self.memory.force(self.own_chunk_bytes + self.gathered_len());
    }

    /// Reserves the memory for `length` more gathered bytes. Returns `false` if there is not enough.
    pub(super) fn reserve(&mut self, length: usize) -> bool {
        self.memory.resize(self.own_chunk_bytes + self.gathered_len() + length)
    }

    /// Adds the header of a frame with a payload of `length` bytes. The caller adds the payload.
    pub(super) fn append_header(&mut self, header: &FrameHeader, length: usize) {
        let formatted = header.format(length as u64, &mut self.gathered);
        debug_assert!(formatted.is_ok(), "writing to a vector cannot fail");
    }

    /// Adds a Close frame. Shortens `reason` to 123 bytes, at a character boundary.
    pub(super) fn append_close(&mut self, code: u16, reason: &str) {
        let mut end = reason.len().min(CLOSE_REASON_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let header = single_frame_header(OpCode::Control(Control::Close));
        self.append_header(&header, 2 + end);
        self.append(&code.to_be_bytes());
        self.append(&reason.as_bytes()[..end]);
    }

    /// Returns the number of bytes.
    pub(super) fn len(&self) -> usize {
        self.chunk_bytes + self.gathered_len()
    }

    fn gathered_len(&self) -> usize {
        self.gathered.len() - self.gathered_sent
    }

    /// Returns whether there are no bytes. TLS records may be left to send.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether there is nothing to send, neither frames nor TLS records.
    pub(super) fn is_sent(&self) -> bool {
        self.is_empty() && !self.record_layer.wants_write()
    }

    /// Removes all bytes without sending them.
    pub(super) fn discard(&mut self) {
        self.consume(self.len());
    }

    /// Removes `n` bytes that were sent. Frees the buffer of gathered frames with their last byte if it is
    /// larger than [`FLUSH_THRESHOLD`].
    pub(super) fn consume(&mut self, mut n: usize) {
        while let Some(first) = self.chunks.front_mut()
            && n > 0
        {
            let here = n.min(first.len());
            self.chunk_bytes -= here;
            n -= here;
            if here == first.len() {
                self.chunks.pop_front();
            } else {
                *first = first.slice(here..);
            }
        }
        self.gathered_sent += n;
        if self.gathered_sent == self.gathered.len() {
            self.gathered.clear();
            self.gathered_sent = 0;
            if self.gathered.capacity() > FLUSH_THRESHOLD {
                self.gathered = Vec::new();
            }
        } else if self.gathered_sent > FLUSH_THRESHOLD {
            self.gathered.drain(..self.gathered_sent);
            self.gathered_sent = 0;
        }
    }

    /// Frees what a peer that takes all bytes at once does not need.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            self.gathered = Vec::new();
            self.chunks = VecDeque::new();
        }
    }

    /// Takes the record layer apart from the bytes, so that one can be given to the other.
    pub(super) fn split(&mut self) -> (&mut RecordLayer, Parts<'_>) {
        let parts = Parts::new(&self.chunks, &self.gathered[self.gathered_sent..]);
        (&mut self.record_layer, parts)
    }
}

/// Returns the header of an unfragmented, unmasked frame.
pub(crate) fn single_frame_header(opcode: OpCode) -> FrameHeader {
    FrameHeader { opcode, ..FrameHeader::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(queue: &mut WriteQueue) -> Vec<u8> {
        queue.split().1.iter().flatten().copied().collect()
    }

    #[test]
    fn write_queue_keeps_the_order_of_copied_and_shared_bytes() {
        for step in 1..=9 {
            let mut queue = WriteQueue::new(RecordLayer::Plain, &MemoryBudget::new(usize::MAX));
            queue.append(b"12");
            queue.append_shared(Bytes::from_static(b"345"));
            queue.append(b"6");
            queue.append_shared(Bytes::new());
            queue.append_shared(Bytes::from_static(b"78"));
            queue.append(b"9");
            let mut sent = Vec::new();
            while !queue.is_sent() {
                let bytes = content(&mut queue);
                assert_eq!(bytes.len(), queue.len());
                let n = step.min(bytes.len());
                sent.extend_from_slice(&bytes[..n]);
                queue.consume(n);
            }
            assert_eq!(sent, b"123456789", "in steps of {step}");
        }
    }
}
