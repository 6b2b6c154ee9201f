//! The bytes of one connection that wait for its socket: whole frames, masked as a client has to send them.
//!
//! tungstenite would take a message of its own, copy it behind a header and mask it there. A message here is two slices
//! of what all messages share, so it is put where it leaves from at once.

use crate::random::Random;
use tungstenite::protocol::frame::{FrameHeader, coding::OpCode};

/// Copied at a time: more would be copied with `rep movsb`, whose pace depends on where both sides lie in their pages.
const BLOCK: usize = 4 << 10;

/// Memory that is kept for the next messages, in bytes. To map that of a large one anew each time costs more than to
/// send it.
const KEEP: usize = 4 << 20;

/// What waits to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// How many of them have gone out.
    sent: usize,
    masks: Random,
}

impl Outgoing {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), sent: 0, masks: Random::new() }
    }

    /// What has not gone out yet.
    pub(super) fn waiting(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// The socket took some.
    pub(super) fn took(&mut self, count: usize) {
        self.sent += count;
        // A little that is left moves to the front: what is added behind it then lies in memory that was just used.
        if self.waiting().len() <= BLOCK {
            self.bytes.drain(..self.sent);
            self.sent = 0;
            self.bytes.shrink_to(KEEP);
        }
    }

    /// Adds bytes as they are.
    pub(super) fn push(&mut self, parts: [&[u8]; 2]) {
        for block in parts.iter().flat_map(|part| part.chunks(BLOCK)) {
            self.bytes.extend_from_slice(block);
        }
    }

    /// Adds a message in one frame, its payload in two parts. RSV1 marks a compressed one.
    pub(super) fn push_frame(&mut self, opcode: OpCode, rsv1: bool, parts: [&[u8]; 2]) {
        let [a, b, c, d, ..] = self.masks.next().to_ne_bytes();
        let mask = [a, b, c, d];
        let header = FrameHeader { rsv1, opcode, mask: Some(mask), ..FrameHeader::default() };
        let length = parts[0].len() + parts[1].len();
        let formatted = header.format(super::numbers::wide(length), &mut self.bytes);
        debug_assert!(formatted.is_ok(), "a vector takes every byte");
        let start = self.bytes.len();
        self.push(parts);
        apply(self.bytes.get_mut(start..).unwrap_or_default(), mask);
    }
}

/// Masks bytes, the first of them with the first of the mask (RFC 6455, section 5.3).
fn apply(bytes: &mut [u8], [a, b, c, d]: [u8; 4]) {
    let mask = [a, b, c, d, a, b, c, d];
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(mask)).to_ne_bytes();
    }
    rest.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::*;
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
