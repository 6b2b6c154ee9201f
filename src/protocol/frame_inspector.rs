//! The tap: follows the frames of a client in the bytes on their way from the socket to tungstenite.
//!
//! FIN, RSV1 and the opcode all sit in byte 0 of a frame, so this byte is all the tap ever rewrites, and only
//! on the first frame of a compressed message: RSV1 is cleared and text becomes binary, because what follows
//! is no UTF-8. Payload is skipped, but for text of which tungstenite sees only a part: that is checked at
//! once, where tungstenite would wait for the end of the frame.

use super::frame_header::{
    ClientFrameHeader, FIN, LENGTH, MASK, PartialHeader, RSV, RSV1, SHORT_HEADER, SHORT_MAX,
};
use super::message_info::{MessageInfo, MessageInfoQueue, MessageKind};
use super::opcode::{BINARY, CLOSE, CONTINUATION, OPCODE, PING, PONG, TEXT};
use super::utf8::Utf8Check;
use super::violation::Violation;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Header,
    Payload,
    /// A Close frame came: no later byte means anything (RFC 6455, section 5.5.1).
    Closed,
}

/// The data message that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenMessage {
    None,
    /// Text as it is: its bytes must be UTF-8.
    Text,
    /// Binary, or compressed.
    Opaque,
}

/// Follows one client's frames. Takes no memory of its own while no message is compressed.
#[derive(Debug)]
pub struct FrameInspector {
    deflate: bool,
    position: Position,
    open: OpenMessage,
    partial: PartialHeader,
    /// The frame at hand: `length` counts down, `mask` turns with every byte.
    frame: ClientFrameHeader,
    utf8: Utf8Check,
    messages: MessageInfoQueue,
    violation: Option<Violation>,
}

impl FrameInspector {
    /// A tap for a connection whose handshake is done; `deflate` says what was negotiated.
    #[must_use]
    pub fn new(deflate: bool) -> Self {
        Self {
            deflate,
            position: Position::Header,
            open: OpenMessage::None,
            partial: PartialHeader::default(),
            frame: ClientFrameHeader { fin: true, opcode: CONTINUATION, length: 0, mask: [0; 4] },
            utf8: Utf8Check::default(),
            messages: MessageInfoQueue::new(),
            violation: None,
        }
    }

    /// Looks at bytes just received and says how many of them may be handed to tungstenite.
    ///
    /// Fewer than given only when the next one is a [`violation`](Self::violation). That must not be
    /// reported before tungstenite has worked on the bytes in front of it, or complete messages lose their
    /// echo. Every later call gives 0.
    pub fn scan(&mut self, bytes: &mut [u8]) -> usize {
        if self.violation.is_some() {
            return 0;
        }
        match self.follow(bytes) {
            Ok(()) => bytes.len(),
            Err((at, violation)) => {
                self.violation = Some(violation);
                at
            }
        }
    }

    /// What the client did wrong, once it did.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// What the data message just taken from tungstenite was. To be called once for every one of them.
    pub fn next_message_info(&mut self) -> Option<MessageInfo> {
        self.messages.pop()
    }

    /// True when the last byte ended a frame, no message is open, and every arrival was taken. Where tungstenite has
    /// also asked for more bytes and got none, it has worked on every frame, and holds no byte.
    #[must_use]
    pub fn between_messages(&self) -> bool {
        self.position == Position::Header
            && self.partial.is_empty()
            && self.open == OpenMessage::None
            && self.messages.is_empty()
            && self.violation.is_none()
    }

    fn follow(&mut self, bytes: &mut [u8]) -> Result<(), (usize, Violation)> {
        let mut at = 0;
        while at < bytes.len() {
            match self.position {
                Position::Closed => break,
                Position::Payload => {
                    at += self.payload(&bytes[at..]).map_err(|(n, violation)| (at + n, violation))?;
                }
                Position::Header => {
                    if self.partial.is_empty() && self.open == OpenMessage::None {
                        at += self.skip_whole_messages(&bytes[at..]);
                    }
                    if let Some(byte) = bytes.get_mut(at) {
                        self.header_byte(byte).map_err(|violation| (at, violation))?;
                        at += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// The common case by itself: small plain messages, each in one frame that is here to its end. For
    /// these tungstenite's own checks are early enough.
    fn skip_whole_messages(&mut self, bytes: &[u8]) -> usize {
        let (mut at, mut count) = (0, 0);
        while let [byte_0, byte_1, ..] = bytes[at..] {
            let length = byte_1 & LENGTH;
            let end = at + SHORT_HEADER + usize::from(length);
            let plain = byte_0 == FIN | TEXT || byte_0 == FIN | BINARY;
            if !plain || byte_1 & MASK == 0 || length > SHORT_MAX || end > bytes.len() {
                break;
            }
            at = end;
            count += 1;
        }
        if count > 0 {
            self.messages.push(MessageInfo::Plain, count);
        }
        at
    }

    fn header_byte(&mut self, byte: &mut u8) -> Result<(), Violation> {
        if self.partial.is_empty() {
            self.byte_0(byte)?;
        }
        let Some(header) = self.partial.push(*byte)? else { return Ok(()) };
        self.frame = header;
        if header.opcode == CLOSE {
            self.position = Position::Closed;
        } else if header.length > 0 {
            self.position = Position::Payload;
        } else {
            self.end_frame();
        }
        Ok(())
    }

    /// Byte 0 says what the frame is; only here a byte is rewritten.
    fn byte_0(&mut self, byte: &mut u8) -> Result<(), Violation> {
        let (opcode, rsv) = (*byte & OPCODE, *byte & RSV);
        let starts = matches!(opcode, TEXT | BINARY);
        let compressed = self.deflate && starts && rsv == RSV1;
        if rsv != 0 && !compressed {
            return Err(Violation::ReservedBits);
        }
        match (opcode, self.open) {
            (CONTINUATION, OpenMessage::None) => return Err(Violation::UnexpectedContinuation),
            (TEXT | BINARY, OpenMessage::Text | OpenMessage::Opaque) => {
                return Err(Violation::ExpectedContinuation);
            }
            (CLOSE | PING | PONG, _) if *byte & FIN == 0 => return Err(Violation::FragmentedControl),
            (CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG, _) => {}
            _ => return Err(Violation::ReservedOpcode),
        }
        if starts {
            self.open = if opcode == TEXT && !compressed { OpenMessage::Text } else { OpenMessage::Opaque };
            let kind = if opcode == TEXT { MessageKind::Text } else { MessageKind::Binary };
            self.messages
                .push(if compressed { MessageInfo::Compressed(kind) } else { MessageInfo::Plain }, 1);
        }
        if compressed {
            *byte = *byte & FIN | BINARY;
        }
        Ok(())
    }

    /// Passes over payload, and gives how much of it there was.
    fn payload(&mut self, bytes: &[u8]) -> Result<usize, (usize, Violation)> {
        let wanted = usize::try_from(self.frame.length).unwrap_or(usize::MAX);
        let here = wanted.min(bytes.len());
        if self.open == OpenMessage::Text && !self.frame.is_control() {
            // A message that ends here is checked to its end by tungstenite, as soon as it has the bytes.
            if here < wanted || !self.frame.fin {
                let checked = self.utf8.check(&bytes[..here], self.frame.mask);
                checked.map_err(|at| (at, Violation::InvalidUtf8))?;
            }
        }
        self.frame.mask.rotate_left(here % 4);
        self.frame.length -= here as u64;
        if self.frame.length == 0 {
            self.end_frame();
        }
        Ok(here)
    }

    fn end_frame(&mut self) {
        self.position = Position::Header;
        if self.frame.fin && !self.frame.is_control() {
            self.open = OpenMessage::None;
            self.utf8 = Utf8Check::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFLATE: bool = true;

    #[test]
    fn every_violation_is_found_at_its_byte() {
        let hello = &[0x81, 0x81, 0, 0, 0, 0, b'h'][..];
        let open = &[0x01, 0x81, 0, 0, 0, 0, b'h'][..];
        for (before, wrong, at, violation) in [
            (hello, &[0xa1, 0x80][..], 0, Violation::ReservedBits),
            (hello, &[0xd2, 0x80], 0, Violation::ReservedBits),
            (hello, &[0xc9, 0x80], 0, Violation::ReservedBits),
            (open, &[0xc0, 0x80], 0, Violation::ReservedBits),
            (hello, &[0x83, 0x80], 0, Violation::ReservedOpcode),
            (hello, &[0x8b, 0x80], 0, Violation::ReservedOpcode),
            (hello, &[0x80, 0x80], 0, Violation::UnexpectedContinuation),
            (open, &[0x81, 0x80, 0, 0, 0, 0], 0, Violation::ExpectedContinuation),
            (open, &[0xc2, 0x80], 0, Violation::ExpectedContinuation),
            (open, &[0x08, 0x80], 0, Violation::FragmentedControl),
            (hello, &[0x89, 0xfe], 1, Violation::ControlTooLong),
            (hello, &[0x82, 0x00], 1, Violation::Unmasked),
            (hello, &[0x82, 0xfe, 0, 1, 0, 0, 0, 0], 7, Violation::LengthNotMinimal),
            (open, &[0x80, 0x82, 0, 0, 0, 0, 0xff], 6, Violation::InvalidUtf8),
        ] {
            let mut bytes = [before, wrong].concat();
            let mut inspector = FrameInspector::new(DEFLATE);
            assert_eq!(inspector.scan(&mut bytes), before.len() + at, "{wrong:02x?}");
            assert_eq!(inspector.violation(), Some(violation), "{wrong:02x?}");
            assert!(!inspector.between_messages());
        }
    }

    #[test]
    fn nothing_after_a_close_frame_matters() {
        let mut bytes = [0x88, 0x80, 0, 0, 0, 0, 0xff, 0xff, 0xff];
        let mut inspector = FrameInspector::new(DEFLATE);
        assert_eq!(inspector.scan(&mut bytes), bytes.len());
        assert_eq!(inspector.violation(), None);
        assert!(!inspector.between_messages());
    }

    #[test]
    fn between_messages_is_where_a_frame_has_ended_and_every_arrival_was_taken() {
        let mut inspector = FrameInspector::new(DEFLATE);
        let mut after = |bytes: &[u8], messages| {
            inspector.scan(&mut bytes.to_vec());
            (0..messages).for_each(|_| assert_eq!(inspector.next_message_info(), Some(MessageInfo::Plain)));
            inspector.between_messages()
        };
        assert!(after(&[], 0), "nothing has come");
        assert!(!after(&[0x81, 0x81, 0, 0, 0, 0, b'a'], 0), "an info waits");
        assert!(after(&[], 1));
        assert!(!after(&[0x89], 0), "a Ping has begun");
        assert!(after(&[0x80, 0, 0, 0, 0], 0));
        assert!(!after(&[0x89, 0x82, 0, 0, 0, 0, b'a'], 0), "half a Ping's payload has come");
        assert!(after(b"b", 0));
        assert!(!after(&[0x01, 0x80, 0, 0, 0, 0], 1), "a message is open");
        assert!(after(&[0x80, 0x80, 0, 0, 0, 0], 0));
        assert!(!after(&[0x88, 0x80, 0, 0, 0, 0], 0), "nothing means anything any more");
    }
}
