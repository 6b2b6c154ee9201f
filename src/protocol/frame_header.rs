//! One frame header of a client (RFC 6455, section 5.2), put together byte by byte.

use super::opcode::{CLOSE, OPCODE};
use super::violation::Violation;

pub(super) const FIN: u8 = 0x80;
pub(super) const RSV1: u8 = 0x40;
/// RSV1, RSV2 and RSV3 together.
pub(super) const RSV: u8 = 0x70;

pub(super) const MASK: u8 = 0x80;
pub(super) const LENGTH: u8 = 0x7f;
/// The longest payload of a control frame, and the longest length that byte 1 can tell by itself.
pub(super) const SHORT_MAX: u8 = 125;
const LENGTH_IN_2_BYTES: u8 = 126;

/// Bytes 0 and 1, the mask.
pub(super) const SHORT_HEADER: usize = 2 + 4;
/// Bytes 0 and 1, a length of 8 bytes, the mask.
const LONGEST_HEADER: usize = 2 + 8 + 4;

/// A complete header that keeps every rule which can be checked from the header alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientFrameHeader {
    pub(super) fin: bool,
    pub(super) opcode: u8,
    pub(super) length: u64,
    pub(super) mask: [u8; 4],
}

impl ClientFrameHeader {
    /// Whether this is a Close, Ping or Pong.
    pub(super) fn is_control(&self) -> bool {
        self.opcode >= CLOSE
    }
}

/// The bytes of a header that have come in so far.
#[derive(Debug, Default)]
pub(super) struct PartialHeader {
    bytes: [u8; LONGEST_HEADER],
    filled: u8,
}

impl PartialHeader {
    /// True between two frames.
    pub(super) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Adds one byte. Gives the header, and is empty again, with the byte that completes it.
    pub(super) fn push(&mut self, byte: u8) -> Result<Option<ClientFrameHeader>, Violation> {
        // At most 13: the byte that completes the longest header sets `filled` back to 0.
        let at = usize::from(self.filled);
        self.bytes[at] = byte;
        self.filled += 1;
        if at == 0 {
            return Ok(None);
        }
        if at == 1 {
            self.check_byte_1()?;
        }
        if at + 1 < self.wanted() {
            return Ok(None);
        }
        self.filled = 0;
        self.parse().map(Some)
    }

    fn check_byte_1(&self) -> Result<(), Violation> {
        if self.bytes[1] & MASK == 0 {
            return Err(Violation::Unmasked);
        }
        if self.bytes[0] & OPCODE >= CLOSE && self.bytes[1] & LENGTH > SHORT_MAX {
            return Err(Violation::ControlTooLong);
        }
        Ok(())
    }

    /// How many bytes the extended payload length has.
    fn length_bytes(&self) -> usize {
        match self.bytes[1] & LENGTH {
            ..=SHORT_MAX => 0,
            LENGTH_IN_2_BYTES => 2,
            _ => 8,
        }
    }

    fn wanted(&self) -> usize {
        SHORT_HEADER + self.length_bytes()
    }

    fn parse(&self) -> Result<ClientFrameHeader, Violation> {
        let extended = self.length_bytes();
        let (length, minimum) = match extended {
            0 => (u64::from(self.bytes[1] & LENGTH), 0),
            _ => (
                self.bytes[2..2 + extended].iter().fold(0, |n, byte| n << 8 | u64::from(*byte)),
                if extended == 2 { 126 } else { 1 << 16 },
            ),
        };
        if length >> 63 != 0 {
            return Err(Violation::LengthTooLarge);
        }
        if length < minimum {
            return Err(Violation::LengthNotMinimal);
        }
        let mut mask = [0; 4];
        mask.copy_from_slice(&self.bytes[2 + extended..SHORT_HEADER + extended]);
        Ok(ClientFrameHeader { fin: self.bytes[0] & FIN != 0, opcode: self.bytes[0] & OPCODE, length, mask })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::opcode::BINARY;

    fn read(bytes: &[u8]) -> Result<Option<ClientFrameHeader>, Violation> {
        let mut partial = PartialHeader::default();
        for (at, byte) in bytes.iter().enumerate() {
            if let Some(header) = partial.push(*byte)? {
                assert_eq!(at + 1, bytes.len(), "the header was complete before its last byte");
                assert!(partial.is_empty());
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    #[test]
    fn lengths_are_read_in_their_three_forms() {
        for (bytes, length) in [
            (&[0x82, 0x85, 1, 2, 3, 4][..], 5),
            (&[0x82, 0xfe, 0, 126, 1, 2, 3, 4], 126),
            (&[0x82, 0xfe, 0xff, 0xff, 1, 2, 3, 4], 0xffff),
            (&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], 0x1_0000),
            (&[0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4], u64::MAX >> 1),
        ] {
            let header = read(bytes).unwrap().unwrap();
            assert_eq!(header, ClientFrameHeader { fin: true, opcode: BINARY, length, mask: [1, 2, 3, 4] });
        }
    }

    #[test]
    fn lengths_tungstenite_would_take_are_refused() {
        for (bytes, violation) in [
            (&[0x82, 0xfe, 0, 125, 1, 2, 3, 4][..], Violation::LengthNotMinimal),
            (&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4], Violation::LengthNotMinimal),
            (&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], Violation::LengthTooLarge),
            (&[0x89, 0xfe], Violation::ControlTooLong),
            (&[0x82, 5], Violation::Unmasked),
        ] {
            assert_eq!(read(bytes), Err(violation));
        }
    }
}
