//! Presents a large frame to tungstenite as fragments, so that the memory of a message grows with the bytes
//! that have come and not with the length that its header announces.
//!
//! tungstenite reserves the announced length as soon as it has parsed a header. The splitter changes the
//! header of a large frame: it announces the first 64 KiB without FIN. Behind each fragment it adds the
//! header of the next one, a continuation, and sets FIN in the last one if the client did. tungstenite joins
//! the fragments in a buffer that grows by doubling. The size of a fragment is a multiple of 4, so all have
//! the same mask.
//!
//! A session that sends one large message often sends more. Frames that are no larger than one that came in
//! full are passed as they are, until the session releases its buffers: this saves a copy and the allocation.

use super::frame_header::{FIN, LENGTH_IN_8_BYTES, LargeFrame, MASK, MAX_HEADER};
use super::frame_inspector::FrameInspector;
use super::opcode::CONTINUATION;

/// Frames up to this payload, in bytes, are always passed as they are.
const WHOLE: u64 = 128 << 10;

/// Payload of a fragment, in bytes.
const FRAGMENT: u64 = 64 << 10;

/// Splits the large frames of one session.
#[derive(Debug)]
pub(crate) struct FrameSplitter {
    /// Maximum size of a message. A larger frame is passed as it is: tungstenite rejects it by its header.
    max_message: u64,
    /// Frames up to this payload are passed as they are.
    whole: u64,
    fragment: u64,
    /// Bytes of a header to be passed first: an incomplete one of the client, or one that was added.
    header: [u8; MAX_HEADER],
    header_length: usize,
    /// `header` is incomplete: the next bytes that are received complete it.
    incomplete: bool,
    /// Payload of the current fragment that was not passed.
    fragment_to_come: u64,
    /// Payload of the frame behind the current fragment.
    rest: u64,
    /// FIN of the frame.
    fin: bool,
    mask: [u8; 4],
    /// Length of the frame.
    length: u64,
    /// The largest frame above [`WHOLE`] that was passed as it is: tungstenite keeps a buffer of its size.
    buffer: u64,
    /// What had come of the current message before its current frame, if this frame is in that buffer.
    before_buffered: Option<u64>,
}

impl FrameSplitter {
    /// Creates the splitter of a session with messages of at most `max_message` bytes.
    pub(crate) fn new(max_message: usize) -> Self {
        Self::with_sizes(max_message as u64, WHOLE, FRAGMENT)
    }

    fn with_sizes(max_message: u64, whole: u64, fragment: u64) -> Self {
        Self {
            max_message,
            whole,
            fragment,
            header: [0; MAX_HEADER],
            header_length: 0,
            incomplete: false,
            fragment_to_come: 0,
            rest: 0,
            fin: false,
            mask: [0; 4],
            length: 0,
            buffer: 0,
            before_buffered: None,
        }
    }

    /// Copies the header of the next fragment to `buffer`, as much as has room. Returns the number of bytes,
    /// or `None` if the next bytes are to be received.
    pub(crate) fn next_header(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.header_length == 0 || self.incomplete {
            return None;
        }
        let n = self.header_length.min(buffer.len());
        buffer[..n].copy_from_slice(&self.header[..n]);
        self.header.copy_within(n..self.header_length, 0);
        self.header_length -= n;
        Some(n)
    }

    /// Prepares `buffer` for a receive: copies the incomplete header to its start. Returns the range to
    /// receive into, or `None` if there is no room. A receive that fails needs no other call.
    pub(crate) fn space(&self, buffer: &mut [u8]) -> Option<(usize, usize)> {
        let (start, mut end) = (self.header_length, buffer.len());
        if self.fragment_to_come > 0 {
            end = usize::try_from(self.fragment_to_come).map_or(end, |to_come| end.min(to_come));
        }
        buffer.get_mut(..start)?.copy_from_slice(&self.header[..start]);
        (start < end).then_some((start, end))
    }

    /// Rewrites `bytes`, which are those of [`space`](Self::space) up to the last one that the inspector has
    /// accepted. Returns how many of them may be passed to tungstenite.
    pub(crate) fn rewrite(&mut self, bytes: &mut [u8], inspector: &mut FrameInspector) -> usize {
        (self.header_length, self.incomplete) = (0, false);
        if self.fragment_to_come > 0 {
            self.fragment_to_come -= bytes.len() as u64;
            if self.fragment_to_come == 0 {
                self.end_fragment();
            }
            return bytes.len();
        }
        if let Some(large) = inspector.take_large_frame() {
            self.begin_frame(large, bytes, inspector);
        }
        // The byte that proves a violation is not among the bytes, and belongs to no header any more.
        let held = if inspector.violation().is_some() { 0 } else { inspector.partial_header_length() };
        let passed = bytes.len().saturating_sub(held);
        let held = &bytes[passed..];
        self.header[..held.len()].copy_from_slice(held);
        (self.header_length, self.incomplete) = (held.len(), !held.is_empty());
        passed
    }

    /// Returns the number of bytes that the inspected frames take in tungstenite's buffers.
    pub(crate) fn held_bytes(&self, inspector: &FrameInspector) -> u64 {
        let message = inspector.unfinished_payload();
        // The message may have ended since the frame began.
        self.buffer + self.before_buffered.map_or(message, |before| before.min(message))
    }

    /// To be called when tungstenite's buffers were released.
    pub(crate) fn buffers_released(&mut self) {
        self.buffer = 0;
        self.whole = WHOLE;
    }

    /// Splits a frame whose header and first payload are the last bytes, if it is large.
    fn begin_frame(&mut self, header_end: LargeFrame, bytes: &mut [u8], inspector: &FrameInspector) {
        let LargeFrame { length, fin, mask, payload_received } = header_end;
        self.before_buffered = None;
        // Read buffers are smaller than a large frame, so it is the last one in them.
        let is_last = inspector.payload_to_come() + payload_received as u64 == length;
        if length <= self.whole || length > self.max_message || !is_last {
            if length > WHOLE && length <= self.max_message {
                self.buffer = self.buffer.max(length);
                self.before_buffered =
                    Some(inspector.unfinished_payload().saturating_sub(payload_received as u64));
            }
            return;
        }
        let header_start = bytes.len().checked_sub(payload_received + MAX_HEADER);
        let Some(header) = header_start.and_then(|start| bytes.get_mut(start..start + MAX_HEADER)) else {
            return;
        };
        let received = payload_received as u64;
        let fragment = self.fragment.max(received.next_multiple_of(4)).min(length);
        if fragment == length {
            return;
        }
        header[0] &= !FIN;
        header[2..10].copy_from_slice(&fragment.to_be_bytes());
        (self.fin, self.mask, self.length) = (fin, mask, length);
        (self.fragment_to_come, self.rest) = (fragment - received, length - fragment);
        if self.fragment_to_come == 0 {
            self.end_fragment();
        }
    }

    /// Adds the header of the next fragment, if there is one.
    fn end_fragment(&mut self) {
        if self.rest == 0 {
            self.whole = self.whole.max(self.length);
            return;
        }
        let length = self.rest.min(self.fragment);
        self.rest -= length;
        self.fragment_to_come = length;
        let fin = if self.fin && self.rest == 0 { FIN } else { 0 };
        self.header[0] = fin | CONTINUATION;
        // tungstenite accepts a short length in 8 bytes.
        self.header[1] = MASK | LENGTH_IN_8_BYTES;
        self.header[2..10].copy_from_slice(&length.to_be_bytes());
        self.header[10..].copy_from_slice(&self.mask);
        self.header_length = MAX_HEADER;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::{self, Read};

    use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
    use tungstenite::{Error, Message};

    use super::*;
    use crate::platform::random::Random;

    /// A stream of a client's bytes in pieces, with the splitter behind it.
    struct Stream {
        pieces: VecDeque<Vec<u8>>,
        inspector: FrameInspector,
        splitter: FrameSplitter,
        /// The longest length in a header that tungstenite got, if `splitter` has small sizes.
        most_held: u64,
    }

    impl Read for Stream {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let mut passed = 0;
            while passed == 0 {
                if let Some(n) = self.splitter.next_header(buffer) {
                    return Ok(n);
                }
                let (start, end) = self.splitter.space(buffer).unwrap();
                let Some(piece) = self.pieces.front_mut() else {
                    return Err(io::ErrorKind::WouldBlock.into());
                };
                let n = piece.len().min(end - start);
                buffer[start..start + n].copy_from_slice(&piece[..n]);
                piece.drain(..n);
                if piece.is_empty() {
                    self.pieces.pop_front();
                }
                assert_eq!(self.inspector.scan(&mut buffer[start..start + n]), n);
                passed = self.splitter.rewrite(&mut buffer[..start + n], &mut self.inspector);
                self.most_held = self.most_held.max(self.splitter.held_bytes(&self.inspector));
            }
            Ok(passed)
        }
    }

    impl io::Write for Stream {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            length @ ..126 => bytes.push(MASK | u8::try_from(length).unwrap()),
            length @ ..0x1_0000 => {
                bytes.push(MASK | 0x7e);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                bytes.push(MASK | LENGTH_IN_8_BYTES);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    fn context() -> WebSocketContext {
        WebSocketContext::new(Role::Server, Some(WebSocketConfig::default().read_buffer_size(1536)))
    }

    #[test]
    fn frame_splitter_changes_no_message_however_the_bytes_arrive() {
        let mut random = Random::new();
        for (whole, fragment) in [(0x1_0000, 4096), (100_000, 65_536), (200_000, 1 << 20)] {
            let (mut wire, mut expected) = (Vec::new(), Vec::new());
            for length in [5, 0x1_0000, 3 * 65_536, 65_535, 250_001, 100_001, 250_002] {
                let text: String = (0..length / 2).map(|n| if n % 7 == 0 { 'é' } else { 'e' }).collect();
                let mask = [1, 2, 3, 4].map(|_| random.bytes(1)[0]);
                let cut = text.len() / 3;
                wire.extend(frame(0x81, text.as_bytes(), mask));
                wire.extend(
                    [frame(0x01, &text.as_bytes()[..cut], mask), frame(0x89, b"ping", mask)].concat(),
                );
                wire.extend(frame(0x80, &text.as_bytes()[cut..], mask));
                wire.extend(frame(0x82, text.as_bytes(), mask));
                expected.extend([Message::text(text.clone()), Message::Ping("ping".into())]);
                expected.extend([Message::text(text.clone()), Message::binary(text)]);
            }
            for size in [1, 13, 1449, 1536] {
                let pieces = wire.chunks(size).map(<[u8]>::to_vec).collect();
                let splitter = FrameSplitter::with_sizes(u64::MAX, whole, fragment);
                let inspector = FrameInspector::new(false);
                let mut stream = Stream { pieces, inspector, splitter, most_held: 0 };
                let mut context = context();
                for (number, message) in expected.iter().enumerate() {
                    let received = context.read(&mut stream).unwrap();
                    assert!(received == *message, "message {number} in pieces of {size}");
                }
                assert!(matches!(context.read(&mut stream), Err(Error::Io(_))));
                assert_eq!(stream.splitter.next_header(&mut [0; 14]), None);
                assert!(stream.most_held >= 250_000);
            }
        }
    }

    #[test]
    fn frame_splitter_counts_what_has_come_and_not_what_was_announced() {
        let wire = frame(0x82, &vec![7; 1 << 20], [0; 4]);
        let mut stream = Stream {
            pieces: [wire[..14].to_vec()].into(),
            inspector: FrameInspector::new(false),
            splitter: FrameSplitter::new(16 << 20),
            most_held: 0,
        };
        let mut context = context();
        let held = |stream: &Stream| stream.splitter.held_bytes(&stream.inspector);
        assert!(context.read(&mut stream).is_err());
        assert_eq!(held(&stream), 0);
        stream.pieces.push_back(wire[14..500_014].to_vec());
        assert!(context.read(&mut stream).is_err());
        assert_eq!(held(&stream), 500_000);
        stream.pieces.push_back(wire[500_014..].to_vec());
        assert_eq!(context.read(&mut stream).unwrap().len(), 1 << 20);
        assert_eq!(held(&stream), 0);
        // The next message of this size gets a buffer at once, which is kept.
        stream.pieces.push_back(wire[..14].to_vec());
        assert!(context.read(&mut stream).is_err());
        assert_eq!(held(&stream), 1 << 20);
        stream.pieces.push_back(wire[14..].to_vec());
        assert_eq!(context.read(&mut stream).unwrap().len(), 1 << 20);
        assert_eq!(held(&stream), 1 << 20);
        stream.splitter.buffers_released();
        assert_eq!(held(&stream), 0);
    }
}
