//! A block: some messages of a room, as the frames that its members get.
//!
//! A burst of one member is one block: it is queued for each member in one step, sent in one write, and, with
//! rooms on Redis, published in one message.

use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Bytes, Message};

use crate::transport::write_queue::single_frame_header;

/// Length of a block, in bytes, from which on all members send it from the same memory, which is counted
/// once. Shorter ones are copied to the queues of the members, which count them.
pub(crate) const SHARED_MIN: usize = 16 << 10;

/// First bytes of an unfragmented text frame and binary frame (RFC 6455, 5.2).
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// Whole messages as unmasked frames (RFC 6455, 5.2), each in one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) frames: Bytes,
    /// Number of messages.
    pub(crate) messages: u64,
    /// Payload of all messages, in bytes.
    pub(crate) payload_bytes: u64,
}

/// The messages of a block that is not complete.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    frames: Vec<u8>,
    messages: u64,
    payload_bytes: u64,
}

impl BlockBuilder {
    /// Adds a text or binary message. Copies it.
    pub(crate) fn add(&mut self, message: &Message) {
        let (kind, payload): (_, &[u8]) = match message {
            Message::Text(text) => (Data::Text, text.as_ref()),
            Message::Binary(bytes) => (Data::Binary, bytes),
            _ => return,
        };
        let header = single_frame_header(OpCode::Data(kind));
        let formatted = header.format(payload.len() as u64, &mut self.frames);
        debug_assert!(formatted.is_ok(), "writing to a vector cannot fail");
        self.frames.extend_from_slice(payload);
        self.messages += 1;
        self.payload_bytes += payload.len() as u64;
    }

    /// Returns the length of the frames, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Returns the block and begins a new one. Returns `None` without messages.
    pub(crate) fn take(&mut self) -> Option<Block> {
        let Self { frames, messages, payload_bytes } = std::mem::take(self);
        (messages > 0).then(|| Block { frames: frames.into(), messages, payload_bytes })
    }
}

impl Block {
    /// Parses a block that another instance has sent. Returns `None` if it is not a sequence of unmasked,
    /// unfragmented data frames without reserved bits, in the shortest encoding and with valid UTF-8 in text.
    pub(crate) fn parse(frames: Bytes) -> Option<Self> {
        let (mut rest, mut messages, mut payload_bytes) = (&frames[..], 0, 0);
        while !rest.is_empty() {
            let (first, payload, after) = split_frame(rest)?;
            match first {
                TEXT => drop(std::str::from_utf8(payload).ok()?),
                BINARY => {}
                _ => return None,
            }
            messages += 1;
            payload_bytes += payload.len() as u64;
            rest = after;
        }
        (messages > 0).then_some(Self { frames, messages, payload_bytes })
    }
}

/// Splits unmasked frames into the first byte and the payload of the first frame, and the rest.
fn split_frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[first, short], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match short {
        0..126 => (u64::from(short), rest),
        126 => {
            let (length, rest) = rest.split_first_chunk()?;
            (Some(u64::from(u16::from_be_bytes(*length))).filter(|length| *length > 125)?, rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk()?;
            (Some(u64::from_be_bytes(*length)).filter(|length| *length > 0xffff)?, rest)
        }
        // The mask bit.
        128.. => return None,
    };
    let (payload, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((first, payload, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_parses_what_its_builder_made() {
        let mut builder = BlockBuilder::default();
        let sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 100_000];
        for size in sizes {
            builder.add(&Message::text("ä".repeat(size)));
            builder.add(&Message::binary(vec![0xff; size]));
        }
        let block = builder.take().expect("messages");
        assert!(builder.take().is_none());
        assert_eq!(block.messages, 16);
        let bytes: u64 = sizes.iter().map(|size| 3 * *size as u64).sum();
        assert_eq!(block.payload_bytes, bytes);
        assert_eq!(Block::parse(block.frames.clone()), Some(block));
    }

    #[test]
    fn block_of_other_bytes_is_refused() {
        for bytes in [
            &b""[..],
            b"hello",
            b"\x81",
            b"\x81\x02a",
            b"\x81\x01\xff",
            b"\x88\x00",
            b"\x01\x01a",
            b"\xc1\x01a",
            b"\x81\x81\0\0\0\0a",
            b"\x82\x7e\x00\x01a",
            b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xffa",
            b"\x82\x01ab",
        ] {
            assert_eq!(Block::parse(Bytes::copy_from_slice(bytes)), None, "{bytes:?}");
        }
        assert!(Block::parse(Bytes::from_static(b"\x82\x01\xff\x81\x01a")).is_some());
    }
}
