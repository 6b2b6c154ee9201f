//! The bytes of one connection that wait for its socket: whole frames, masked as a client has to send them.
//!
//! tungstenite would take a message of its own, copy it behind a header and mask it there. A message here is two slices
//! of what all messages share, so it is put where it leaves from at once.

use super::numbers;
use std::mem;
use tungstenite::protocol::frame::{FrameHeader, coding::OpCode};
use ws_echo::platform::{pool::Pool, random::Random};

/// What is left of this many bytes, or fewer, moves to the front of the buffer.
const LITTLE: usize = 4 << 10;
/// Buffers that are kept for whoever has something to send: to map a large one anew each time costs more than to send
/// what is in it.
const POOLED: usize = 16;
/// The largest of them, in bytes. Messages that need more are rare, and what they cost is theirs.
const LARGEST: usize = 4 << 20;

/// Buffers that nobody uses, and all of which can be written to. A connection has one only while something waits: ten
/// thousand need few, and what is sent is written to memory that the processor has in its cache.
static BUFFERS: Pool<Vec<u8>> = Pool::new(POOLED);

/// What waits to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    buffer: Vec<u8>,
    /// What waits starts at `sent` and ends at `filled`.
    sent: usize,
    filled: usize,
    masks: Random,
}

impl Outgoing {
    pub(super) fn new() -> Self {
        Self { buffer: Vec::new(), sent: 0, filled: 0, masks: Random::new() }
    }

    /// What has not gone out yet.
    pub(super) fn waiting(&self) -> &[u8] {
        self.buffer.get(self.sent..self.filled).unwrap_or_default()
    }

    /// The socket took some.
    pub(super) fn took(&mut self, count: usize) {
        self.sent += count;
        // What is added behind a little that is left then lies in memory that was just used.
        if self.waiting().len() <= LITTLE {
            self.buffer.copy_within(self.sent..self.filled, 0);
            self.filled -= self.sent;
            self.sent = 0;
        }
        if self.filled == 0 {
            let buffer = mem::take(&mut self.buffer);
            if is_worth_keeping(&buffer) {
                BUFFERS.release(buffer);
            }
        }
    }

    /// Adds bytes as they are.
    pub(super) fn push(&mut self, parts: [&[u8]; 2]) {
        for part in parts {
            // A mask of zeros changes nothing. `copy_from_slice` would copy large parts with `rep movsb`, whose pace depends
            // on where both sides lie in their pages.
            copy_masked(part, [0; 4], self.room(part.len()));
        }
    }

    /// Adds a message in one frame, its payload in two parts. RSV1 marks a compressed one.
    pub(super) fn push_frame(&mut self, opcode: OpCode, rsv1: bool, parts: [&[u8]; 2]) {
        let [a, b, c, d, ..] = self.masks.next_u64().to_ne_bytes();
        let mut mask = [a, b, c, d];
        let header = FrameHeader { rsv1, opcode, mask: Some(mask), ..FrameHeader::default() };
        let length = parts[0].len() + parts[1].len();
        let before = header.len(numbers::wide(length));
        let (mut head, payload) = self.room(before + length).split_at_mut(before);
        let formatted = header.format(numbers::wide(length), &mut head);
        debug_assert!(formatted.is_ok(), "there is as much room as it takes");
        let (first, second) = payload.split_at_mut(parts[0].len());
        copy_masked(parts[0], mask, first);
        mask.rotate_left(first.len() % 4);
        copy_masked(parts[1], mask, second);
    }

    /// Adds so many bytes, to be written over.
    fn room(&mut self, count: usize) -> &mut [u8] {
        let start = self.filled;
        self.filled += count;
        let size = if self.filled > LARGEST { self.filled } else { self.filled.next_power_of_two() };
        if self.buffer.is_empty() {
            // What comes fresh from the system is zero already.
            self.buffer = BUFFERS.acquire(|buffer| buffer.len() >= count).unwrap_or_else(|| vec![0; size]);
        } else if self.buffer.len() < self.filled {
            self.buffer.resize(size, 0);
        }
        self.buffer.get_mut(start..self.filled).unwrap_or_default()
    }
}

/// Whether a buffer may be of use to the next one who has something to send.
fn is_worth_keeping(buffer: &[u8]) -> bool {
    (1..=LARGEST).contains(&buffer.len())
}

/// Copies bytes and masks them on the way, the first of them with the first of the mask (RFC 6455, section 5.3).
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
    fn a_frame_is_what_the_rfc_says() {
        for (head, tail) in [(0, 0), (3, 4), (14, 111), (14, 112), (14, 70_000)] {
            let payload: Vec<u8> = (0..head + tail).map(|n: usize| n.to_le_bytes()[0]).collect();
            let mut outgoing = Outgoing::new();
            outgoing.push_frame(OpCode::Data(Data::Text), true, [&payload[..head], &payload[head..]]);
            let bytes = outgoing.waiting();
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
    fn buffers_that_are_neither_empty_nor_huge_are_kept() {
        let kept = [0, 1, LARGEST, LARGEST + 1].map(|length| is_worth_keeping(&vec![0; length]));
        assert_eq!(kept, [false, true, true, false]);
    }

    /// The payload of the first frame that waits, and what is behind it.
    fn unmask(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
        let mut cursor = Cursor::new(bytes);
        let (header, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
        let rest = &bytes[numbers::narrow(cursor.position())..];
        let (payload, behind) = rest.split_at(numbers::narrow(length));
        let mask = header.mask.unwrap();
        (payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect(), behind)
    }

    #[test]
    fn frames_are_whole_in_a_buffer_that_grows_and_in_one_that_was_used() {
        let mut outgoing = Outgoing::new();
        for lengths in [[20, 70_000], [3, 5], [66_000, 66_000]] {
            let payloads =
                lengths.map(|length: usize| (0..length).map(|n| n.to_le_bytes()[0] | 1).collect::<Vec<u8>>());
            for payload in &payloads {
                outgoing.push_frame(OpCode::Data(Data::Binary), false, [&payload[..3], &payload[3..]]);
            }
            let waiting = outgoing.waiting().to_vec();
            let (first, behind) = unmask(&waiting);
            let (second, behind) = unmask(behind);
            assert!([first, second] == payloads && behind.is_empty(), "{lengths:?}");
            outgoing.took(waiting.len());
        }
    }

    #[test]
    fn no_two_frames_have_the_same_mask() {
        let mut outgoing = Outgoing::new();
        let mut masks: Vec<Vec<u8>> = (0..100)
            .map(|_| {
                outgoing.push_frame(OpCode::Data(Data::Binary), false, [b"", b""]);
                let mask = outgoing.waiting()[2..].to_vec();
                outgoing.took(6);
                mask
            })
            .collect();
        masks.sort();
        masks.dedup();
        assert_eq!(masks.len(), 100);
    }

    #[test]
    fn who_has_nothing_to_send_has_no_buffer() {
        let mut outgoing = Outgoing::new();
        for length in [1, 20, LITTLE + 1, LARGEST + 1] {
            outgoing.push([&vec![7; length], b""]);
            outgoing.took(1);
            assert_eq!(outgoing.buffer.is_empty(), length == 1, "{length} bytes less one wait");
            assert!(outgoing.waiting() == vec![7; length - 1], "{length} bytes less one wait");
            outgoing.took(length - 1);
            assert!(outgoing.buffer.is_empty());
        }
    }

    #[test]
    fn what_was_taken_is_gone_and_the_rest_waits() {
        let mut outgoing = Outgoing::new();
        outgoing.push([b"abc", b"def"]);
        outgoing.took(4);
        outgoing.push([b"g", b""]);
        assert_eq!(outgoing.waiting(), b"efg");
        outgoing.took(3);
        assert_eq!(outgoing.waiting(), b"");
    }
}
