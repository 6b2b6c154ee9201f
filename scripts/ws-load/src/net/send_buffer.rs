//! The unsent bytes of one connection: whole frames, masked as a client must (RFC 6455, 5.3).
//!
//! tungstenite would take an owned message, copy it behind a header and mask it there. A message here is two
//! slices of data that all messages share, so it is copied and masked once, straight into this buffer.

use crate::numbers;
use std::mem;
use tungstenite::protocol::frame::{FrameHeader, coding::OpCode};
use ws_echo::platform::{pool::Pool, random::Random};

/// After a write, a remainder of at most this many bytes moves to the front of the buffer.
const MOVE_MAX: usize = 4 << 10;
/// Number of unused buffers that are kept. To map a new large buffer costs more than to send its content.
const POOLED_BUFFERS: usize = 16;
/// Largest buffer that is kept, in bytes.
const LARGEST_POOLED: usize = 4 << 20;

/// Buffers that no connection uses. A connection has a buffer only while it has unsent bytes, so 10,000
/// connections need few, and these stay in the processor's cache.
static BUFFERS: Pool<Vec<u8>> = Pool::new(POOLED_BUFFERS);

/// The unsent bytes of one connection.
#[derive(Debug)]
pub(crate) struct SendBuffer {
    /// Unsent bytes lie between `sent` and `filled`.
    buffer: Vec<u8>,
    sent: usize,
    filled: usize,
    masks: Random,
}

impl SendBuffer {
    pub(crate) fn new() -> Self {
        Self { buffer: Vec::new(), sent: 0, filled: 0, masks: Random::new() }
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        self.buffer.get(self.sent..self.filled).unwrap_or_default()
    }

    /// Removes the first `count` unsent bytes, which the socket has accepted. Releases the buffer if none are
    /// left.
    pub(crate) fn consume(&mut self, count: usize) {
        self.sent += count;
        // Frames that are appended behind a small remainder then go to memory that was just used.
        if self.unsent().len() <= MOVE_MAX {
            self.buffer.copy_within(self.sent..self.filled, 0);
            self.filled -= self.sent;
            self.sent = 0;
        }
        if self.filled == 0 {
            let buffer = mem::take(&mut self.buffer);
            if is_pooled(&buffer) {
                BUFFERS.release(buffer);
            }
        }
    }

    /// Appends bytes as they are.
    pub(crate) fn push(&mut self, parts: [&[u8]; 2]) {
        for part in parts {
            // A mask of zeros changes nothing. `copy_from_slice` would copy large parts with `rep movsb`,
            // whose speed depends on the page offsets of both sides.
            copy_masked(part, [0; 4], self.append(part.len()));
        }
    }

    /// Appends a message in one masked frame. Its payload is given in two parts; `rsv1` marks a compressed
    /// one.
    pub(crate) fn push_frame(&mut self, opcode: OpCode, rsv1: bool, parts: [&[u8]; 2]) {
        let [a, b, c, d, ..] = self.masks.next_u64().to_ne_bytes();
        let mut mask = [a, b, c, d];
        let header = FrameHeader { rsv1, opcode, mask: Some(mask), ..FrameHeader::default() };
        let length = parts[0].len() + parts[1].len();
        let header_len = header.len(numbers::usize_to_u64(length));
        let (mut head, payload) = self.append(header_len + length).split_at_mut(header_len);
        let formatted = header.format(numbers::usize_to_u64(length), &mut head);
        debug_assert!(formatted.is_ok(), "the slice has the length of the header");
        let (first, second) = payload.split_at_mut(parts[0].len());
        copy_masked(parts[0], mask, first);
        mask.rotate_left(first.len() % 4);
        copy_masked(parts[1], mask, second);
    }

    /// Appends `count` bytes of any content, and returns them to be overwritten.
    fn append(&mut self, count: usize) -> &mut [u8] {
        let start = self.filled;
        self.filled += count;
        let size = if self.filled > LARGEST_POOLED { self.filled } else { self.filled.next_power_of_two() };
        if self.buffer.is_empty() {
            // The kernel provides zeroed memory, so `vec!` writes nothing.
            self.buffer = BUFFERS.acquire(|buffer| buffer.len() >= count).unwrap_or_else(|| vec![0; size]);
        } else if self.buffer.len() < self.filled {
            self.buffer.resize(size, 0);
        }
        self.buffer.get_mut(start..self.filled).unwrap_or_default()
    }
}

/// Returns whether an unused buffer is kept.
fn is_pooled(buffer: &[u8]) -> bool {
    (1..=LARGEST_POOLED).contains(&buffer.len())
}

/// Copies `from` to `to` and masks it: the first byte with the first byte of the mask (RFC 6455, 5.3).
fn copy_masked(from: &[u8], mask: [u8; 4], to: &mut [u8]) {
    let ((words, rest), (masked_words, masked_rest)) = (from.as_chunks::<4>(), to.as_chunks_mut::<4>());
    for (masked, word) in masked_words.iter_mut().zip(words) {
        *masked = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    for ((masked, byte), mask) in masked_rest.iter_mut().zip(rest).zip(mask) {
        *masked = byte ^ mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use tungstenite::protocol::frame::coding::Data;

    #[test]
    fn send_buffer_frames_follow_rfc_6455() {
        for (head, tail) in [(0, 0), (3, 4), (14, 111), (14, 112), (14, 70_000)] {
            let payload: Vec<u8> = (0..head + tail).map(|n: usize| n.to_le_bytes()[0]).collect();
            let mut buffer = SendBuffer::new();
            buffer.push_frame(OpCode::Data(Data::Text), true, [&payload[..head], &payload[head..]]);
            let bytes = buffer.unsent();
            assert_eq!(bytes[0], 0b1100_0001);
            let (length, rest) = match bytes[1] {
                254 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), &bytes[4..]),
                255 => (bytes[2..10].iter().fold(0, |n, byte| n << 8 | usize::from(*byte)), &bytes[10..]),
                short => (usize::from(short & 0x7f), &bytes[2..]),
            };
            assert_eq!(length, payload.len());
            let (mask, masked) = rest.split_at(4);
            let unmasked: Vec<u8> = masked.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
            assert!(unmasked == payload, "{head} and {tail} bytes");
        }
    }

    #[test]
    fn send_buffer_pool_keeps_buffers_that_are_neither_empty_nor_huge() {
        let kept = [0, 1, LARGEST_POOLED, LARGEST_POOLED + 1].map(|length| is_pooled(&vec![0; length]));
        assert_eq!(kept, [false, true, true, false]);
    }

    /// Returns the unmasked payload of the first frame, and the bytes behind it.
    fn unmask(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
        let mut cursor = Cursor::new(bytes);
        let (header, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
        let rest = &bytes[numbers::u64_to_usize(cursor.position())..];
        let (payload, behind) = rest.split_at(numbers::u64_to_usize(length));
        let mask = header.mask.unwrap();
        (payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect(), behind)
    }

    #[test]
    fn send_buffer_frames_are_whole_in_a_growing_and_in_a_reused_buffer() {
        let mut buffer = SendBuffer::new();
        for lengths in [[20, 70_000], [3, 5], [66_000, 66_000]] {
            let payloads =
                lengths.map(|length: usize| (0..length).map(|n| n.to_le_bytes()[0] | 1).collect::<Vec<u8>>());
            for payload in &payloads {
                buffer.push_frame(OpCode::Data(Data::Binary), false, [&payload[..3], &payload[3..]]);
            }
            let unsent = buffer.unsent().to_vec();
            let (first, behind) = unmask(&unsent);
            let (second, behind) = unmask(behind);
            assert!([first, second] == payloads && behind.is_empty(), "{lengths:?}");
            buffer.consume(unsent.len());
        }
    }

    #[test]
    fn send_buffer_frames_have_different_masks() {
        let mut buffer = SendBuffer::new();
        let mut masks: Vec<Vec<u8>> = (0..100)
            .map(|_| {
                buffer.push_frame(OpCode::Data(Data::Binary), false, [b"", b""]);
                let mask = buffer.unsent()[2..].to_vec();
                buffer.consume(6);
                mask
            })
            .collect();
        masks.sort();
        masks.dedup();
        assert_eq!(masks.len(), 100);
    }

    #[test]
    fn send_buffer_without_unsent_bytes_has_no_allocation() {
        let mut buffer = SendBuffer::new();
        for length in [1, 20, MOVE_MAX + 1, LARGEST_POOLED + 1] {
            buffer.push([&vec![7; length], b""]);
            buffer.consume(1);
            assert_eq!(buffer.buffer.is_empty(), length == 1, "{length} bytes, one consumed");
            assert!(buffer.unsent() == vec![7; length - 1], "{length} bytes, one consumed");
            buffer.consume(length - 1);
            assert!(buffer.buffer.is_empty());
        }
    }

    #[test]
    fn send_buffer_consume_removes_only_what_was_sent() {
        let mut buffer = SendBuffer::new();
        buffer.push([b"abc", b"def"]);
        buffer.consume(4);
        buffer.push([b"g", b""]);
        assert_eq!(buffer.unsent(), b"efg");
        buffer.consume(3);
        assert_eq!(buffer.unsent(), b"");
    }
}
