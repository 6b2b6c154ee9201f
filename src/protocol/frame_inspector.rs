//! Inspects a client's frames between the socket and tungstenite.
//!
//! The inspector rewrites byte 0 of the first frame of a compressed message: it clears RSV1 and changes the
//! opcode to binary, because compressed text is not UTF-8. It also rewrites close code 1014 as 1013, because
//! tungstenite takes 1014 for a violation. It skips payload, except for text that
//! tungstenite has not received to the end of the message: this text is checked at once, because tungstenite
//! checks it only at the end of the frame.

use super::close_code::{BAD_GATEWAY, TRY_AGAIN_LATER, may_be_sent};
use super::frame_header::{
    ClientFrameHeader, FIN, LENGTH, LargeFrame, MASK, PartialHeader, RSV, RSV1, SHORT_HEADER, SHORT_MAX,
};
use super::message_info::{MessageInfo, MessageInfoQueue, MessageKind};
use super::opcode::{BINARY, CLOSE, CONTINUATION, OPCODE, PING, PONG, TEXT};
use super::utf8::Utf8Check;
use super::violation::Violation;

/// Part of a frame that the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Header,
    Payload,
    /// The code of a Close frame, the first two bytes of its payload.
    CloseCode,
    /// A Close frame was received. Later bytes are ignored (RFC 6455, section 5.5.1).
    Closed,
}

/// The data message that has begun but not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenMessage {
    None,
    /// Uncompressed text: its payload must be UTF-8.
    Text,
    /// Binary or compressed: its payload is not checked.
    Opaque,
}

/// Inspects the frames of one session. Allocates memory only for compressed messages.
#[derive(Debug)]
pub struct FrameInspector {
    deflate: bool,
    position: Position,
    open: OpenMessage,
    partial: PartialHeader,
    /// The current frame. `length` is the payload still to come; `mask` is rotated to the next payload byte.
    frame: ClientFrameHeader,
    utf8: Utf8Check,
    messages: MessageInfoQueue,
    /// Complete messages, and control frames outside a message.
    completed: u64,
    /// The first byte of the code of the Close frame, unmasked.
    close_code_high: Option<u8>,
    /// The code of the Close frame.
    close_code: Option<u16>,
    violation: Option<Violation>,
    /// Payload received of the open message.
    message_payload: u64,
    /// The data frame of the last scan whose length takes 8 bytes.
    large: Option<LargeFrame>,
}

impl FrameInspector {
    /// Creates the inspector of a session. `deflate`: permessage-deflate was negotiated.
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
            completed: 0,
            close_code_high: None,
            close_code: None,
            violation: None,
            message_payload: 0,
            large: None,
        }
    }

    /// Inspects received bytes and returns how many of them may be passed to tungstenite.
    ///
    /// Returns fewer than `bytes.len()` only if the next byte is a [`violation`](Self::violation). The caller
    /// reports the violation after tungstenite has processed the bytes before it; otherwise complete messages
    /// lose their echo. Every later call returns 0.
    pub fn scan(&mut self, bytes: &mut [u8]) -> usize {
        if self.violation.is_some() {
            return 0;
        }
        match self.inspect(bytes) {
            Ok(()) => bytes.len(),
            Err((index, violation)) => {
                self.violation = Some(violation);
                index
            }
        }
    }

    /// Returns the first violation found, if any.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// Returns the code of the received Close frame as the client sent it; `None` before that frame, or if it
    /// has no code.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    /// Returns how many bytes of the current frame's payload have not been inspected; 0 between two frames.
    #[must_use]
    pub fn payload_to_come(&self) -> u64 {
        if self.position == Position::Payload { self.frame.length } else { 0 }
    }

    /// Returns the payload received of a message that is not complete, in bytes.
    #[must_use]
    pub(super) fn unfinished_payload(&self) -> u64 {
        self.message_payload
    }

    /// Returns how many bytes of an incomplete header were received.
    pub(super) fn partial_header_length(&self) -> usize {
        self.partial.len()
    }

    /// Returns the data frame whose length takes 8 bytes and whose header the last scan has completed.
    pub(super) fn take_large_frame(&mut self) -> Option<LargeFrame> {
        self.large.take()
    }

    /// Returns what the next data message was before it was rewritten. To be called once for each data
    /// message that tungstenite returns.
    pub fn next_message_info(&mut self) -> Option<MessageInfo> {
        self.messages.pop()
    }

    /// Returns whether the last byte ended a frame, no message is open, and
    /// [`next_message_info`](Self::next_message_info) was called for each message. If a read of tungstenite
    /// then returned `WouldBlock`, tungstenite buffers no byte.
    #[must_use]
    pub fn between_messages(&self) -> bool {
        self.position == Position::Header
            && self.partial.is_empty()
            && self.open == OpenMessage::None
            && self.messages.is_empty()
            && self.violation.is_none()
    }

    /// Returns the number of the message, or of the control frame outside a message, of which a part was
    /// received; `None` if the last byte ended one. The next one has another number.
    #[must_use]
    pub fn unfinished(&self) -> Option<u64> {
        let between =
            self.position == Position::Header && self.partial.is_empty() && self.open == OpenMessage::None;
        (!between).then_some(self.completed)
    }

    /// The error holds the index of the byte that proves the violation.
    fn inspect(&mut self, bytes: &mut [u8]) -> Result<(), (usize, Violation)> {
        let mut index = 0;
        while index < bytes.len() {
            match self.position {
                Position::Closed => break,
                Position::CloseCode => {
                    self.inspect_close_code_byte(&mut bytes[index])
                        .map_err(|violation| (index, violation))?;
                    index += 1;
                }
                Position::Payload => {
                    index += self
                        .skip_payload(&bytes[index..])
                        .map_err(|(offset, violation)| (index + offset, violation))?;
                }
                Position::Header => {
                    if self.partial.is_empty() && self.open == OpenMessage::None {
                        index += self.skip_small_messages(&bytes[index..]);
                    }
                    if let Some(byte) = bytes.get_mut(index) {
                        self.inspect_header_byte(byte).map_err(|violation| (index, violation))?;
                        index += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Fast path: skips complete uncompressed messages of one frame and at most 125 bytes. Returns the bytes
    /// skipped.
    ///
    /// tungstenite checks these messages early enough.
    fn skip_small_messages(&mut self, bytes: &[u8]) -> usize {
        let (mut skipped, mut count) = (0, 0);
        while let [fin_and_opcode, mask_and_length, ..] = bytes[skipped..] {
            let length = mask_and_length & LENGTH;
            let end = skipped + SHORT_HEADER + usize::from(length);
            let plain = fin_and_opcode == FIN | TEXT || fin_and_opcode == FIN | BINARY;
            if !plain || mask_and_length & MASK == 0 || length > SHORT_MAX || end > bytes.len() {
                break;
            }
            skipped = end;
            count += 1;
        }
        if count > 0 {
            self.completed += count as u64;
            self.messages.push(MessageInfo::Plain, count);
        }
        skipped
    }

    fn inspect_header_byte(&mut self, byte: &mut u8) -> Result<(), Violation> {
        if self.partial.is_empty() {
            self.inspect_first_byte(byte)?;
        }
        let Some(header) = self.partial.push(*byte)? else { return Ok(()) };
        self.frame = header;
        if header.opcode == CLOSE {
            // A payload of one byte has no code. tungstenite rejects it.
            self.position = if header.length < 2 { Position::Closed } else { Position::CloseCode };
        } else if header.length > 0 {
            self.position = Position::Payload;
            if header.length > u64::from(u16::MAX) {
                let ClientFrameHeader { length, fin, mask, .. } = header;
                self.large = Some(LargeFrame { length, fin, mask, payload_received: 0 });
            }
        } else {
            self.end_frame();
        }
        Ok(())
    }

    /// Checks FIN, RSV and opcode. Rewrites the byte if a compressed message begins here.
    fn inspect_first_byte(&mut self, byte: &mut u8) -> Result<(), Violation> {
        let (opcode, rsv) = (*byte & OPCODE, *byte & RSV);
        let begins_message = matches!(opcode, TEXT | BINARY);
        let compressed = self.deflate && begins_message && rsv == RSV1;
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
        if begins_message {
            self.open = if opcode == TEXT && !compressed { OpenMessage::Text } else { OpenMessage::Opaque };
            let kind = if opcode == TEXT { MessageKind::Text } else { MessageKind::Binary };
            let info = if compressed { MessageInfo::Compressed(kind) } else { MessageInfo::Plain };
            self.messages.push(info, 1);
        }
        if compressed {
            *byte = *byte & FIN | BINARY;
        }
        Ok(())
    }

    /// Checks the code of a Close frame at its second byte. Rewrites 1014 as 1013.
    fn inspect_close_code_byte(&mut self, byte: &mut u8) -> Result<(), Violation> {
        let mask = self.frame.mask[0];
        self.frame.mask.rotate_left(1);
        let Some(high) = self.close_code_high else {
            self.close_code_high = Some(*byte ^ mask);
            return Ok(());
        };
        let code = u16::from_be_bytes([high, *byte ^ mask]);
        if !may_be_sent(code) {
            return Err(Violation::ForbiddenCloseCode(code));
        }
        if code == BAD_GATEWAY {
            *byte = TRY_AGAIN_LATER.to_be_bytes()[1] ^ mask;
        }
        self.close_code = Some(code);
        self.position = Position::Closed;
        Ok(())
    }

    /// Skips payload of the current frame and returns how many bytes it skipped. Checks text for UTF-8.
    fn skip_payload(&mut self, bytes: &[u8]) -> Result<usize, (usize, Violation)> {
        let remaining = usize::try_from(self.frame.length).unwrap_or(usize::MAX);
        let available = remaining.min(bytes.len());
        if self.open == OpenMessage::Text && !self.frame.is_control() {
            // Text that completes its message in these bytes is checked by tungstenite as early.
            if available < remaining || !self.frame.fin {
                let checked = self.utf8.check(&bytes[..available], self.frame.mask);
                checked.map_err(|index| (index, Violation::InvalidUtf8))?;
            }
        }
        if !self.frame.is_control() {
            self.message_payload += available as u64;
        }
        if let Some(large) = &mut self.large {
            large.payload_received += available;
        }
        self.frame.mask.rotate_left(available % 4);
        self.frame.length -= available as u64;
        if self.frame.length == 0 {
            self.end_frame();
        }
        Ok(available)
    }

    fn end_frame(&mut self) {
        self.position = Position::Header;
        if self.frame.fin && !self.frame.is_control() {
            self.open = OpenMessage::None;
            self.utf8 = Utf8Check::default();
            self.message_payload = 0;
        }
        self.completed += u64::from(self.open == OpenMessage::None);
    }
}
