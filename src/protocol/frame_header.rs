//! Parses the frame headers of a client byte by byte (RFC 6455, section 5.2).

use super::opcode::{CLOSE, OPCODE};
use super::violation::Violation;

pub(super) const FIN: u8 = 0x80;
pub(super) const RSV1: u8 = 0x40;
/// RSV1, RSV2 and RSV3 together.
pub(super) const RSV: u8 = 0x70;

pub(super) const MASK: u8 = 0x80;
pub(super) const LENGTH: u8 = 0x7f;
/// Largest payload of a control frame and largest length that fits byte 1, in bytes.
pub(super) const SHORT_MAX: u8 = 125;
const LENGTH_IN_2_BYTES: u8 = 126;
pub(super) const LENGTH_IN_8_BYTES: u8 = 127;

/// Size of a header without extended length: bytes 0 and 1, and the mask.
pub(super) const SHORT_HEADER: usize = 2 + 4;
/// Size of a header with an extended length of 8 bytes.
pub(super) const MAX_HEADER: usize = 2 + 8 + 4;

/// A complete header that has passed every check that needs no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientFrameHeader {
    pub(super) fin: bool,
    pub(super) opcode: u8,
    pub(super) length: u64,
    pub(super) mask: [u8; 4],
}

impl ClientFrameHeader {
    /// Returns whether the frame is a Close, Ping or Pong.
    pub(super) fn is_control(&self) -> bool {
        self.opcode >= CLOSE
    }
}

/// The header of a data frame whose length takes 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LargeFrame {
    pub(super) length: u64,
    pub(super) fin: bool,
    /// As sent.
    pub(super) mask: [u8; 4],
    /// Payload that was inspected together with the last byte of the header.
    pub(super) payload_received: usize,
}

/// The bytes of a header received so far.
#[derive(Debug, Default)]
pub(super) struct PartialHeader {
    bytes: [u8; MAX_HEADER],
    filled: u8,
}

impl PartialHeader {
    /// Returns whether no byte of a header has been received.
    pub(super) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Returns the number of bytes received.
    pub(super) fn len(&self) -> usize {
        usize::from(self.filled)
    }

    /// Adds one byte. The byte that completes the header returns it and empties this buffer.
    ///
    /// # Errors
    ///
    /// The header breaks RFC 6455, section 5.1, 5.2 or 5.5.
    pub(super) fn push(&mut self, byte: u8) -> Result<Option<ClientFrameHeader>, Violation> {
        // At most 13: the byte that completes the largest header sets `filled` back to 0.
        let index = usize::from(self.filled);
        self.bytes[index] = byte;
        self.filled += 1;
        if index == 0 {
            return Ok(None);
        }
        if index == 1 {
            self.check_mask_and_length()?;
        }
        if index + 1 < self.header_size() {
            return Ok(None);
        }
        self.filled = 0;
        self.parse().map(Some)
    }

    fn check_mask_and_length(&self) -> Result<(), Violation> {
        if self.bytes[1] & MASK == 0 {
            return Err(Violation::Unmasked);
        }
        if self.bytes[0] & OPCODE >= CLOSE && self.bytes[1] & LENGTH > SHORT_MAX {
            return Err(Violation::ControlTooLong);
        }
        Ok(())
    }

    /// Returns the size of the extended payload length, in bytes.
    fn extended_length_size(&self) -> usize {
        match self.bytes[1] & LENGTH {
            ..=SHORT_MAX => 0,
            LENGTH_IN_2_BYTES => 2,
            _ => 8,
        }
    }

    fn header_size(&self) -> usize {
        SHORT_HEADER + self.extended_length_size()
    }

    fn parse(&self) -> Result<ClientFrameHeader, Violation> {
        let size = self.extended_length_size();
        let (length, minimum) = match size {
            0 => (u64::from(self.bytes[1] & LENGTH), 0),
            _ => (
                self.bytes[2..2 + size].iter().fold(0, |n, byte| n << 8 | u64::from(*byte)),
                if size == 2 { 126 } else { 1 << 16 },
            ),
        };
        if length >> 63 != 0 {
            return Err(Violation::LengthTooLarge);
        }
        if length < minimum {
            return Err(Violation::LengthNotMinimal);
        }
        let mut mask = [0; 4];
        mask.copy_from_slice(&self.bytes[2 + size..SHORT_HEADER + size]);
        Ok(ClientFrameHeader { fin: self.bytes[0] & FIN != 0, opcode: self.bytes[0] & OPCODE, length, mask })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::opcode::BINARY;

    fn parse(bytes: &[u8]) -> Result<Option<ClientFrameHeader>, Violation> {
        let mut partial = PartialHeader::default();
        for (index, byte) in bytes.iter().enumerate() {
            if let Some(header) = partial.push(*byte)? {
                assert_eq!(index + 1, bytes.len(), "the header was complete before its last byte");
                assert!(partial.is_empty());
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    #[test]
    fn frame_header_lengths_are_parsed_in_their_three_forms() {
        for (bytes, length) in [
            (&[0x82, 0x85, 1, 2, 3, 4][..], 5),
            (&[0x82, 0xfe, 0, 126, 1, 2, 3, 4], 126),
            (&[0x82, 0xfe, 0xff, 0xff, 1, 2, 3, 4], 0xffff),
            (&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], 0x1_0000),
            (&[0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4], u64::MAX >> 1),
        ] {
            let header = parse(bytes).unwrap().unwrap();
            assert_eq!(header, ClientFrameHeader { fin: true, opcode: BINARY, length, mask: [1, 2, 3, 4] });
        }
    }

    #[test]
    fn frame_header_rejects_lengths_that_tungstenite_accepts() {
        for (bytes, violation) in [
            (&[0x82, 0xfe, 0, 125, 1, 2, 3, 4][..], Violation::LengthNotMinimal),
            (&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4], Violation::LengthNotMinimal),
            (&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], Violation::LengthTooLarge),
            (&[0x89, 0xfe], Violation::ControlTooLong),
            (&[0x82, 5], Violation::Unmasked),
        ] {
            assert_eq!(parse(bytes), Err(violation));
        }
    }
}
