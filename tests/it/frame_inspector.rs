//! Properties of the frame inspector, on valid frames and on random bytes.

use crate::harness::masked_with;
use std::collections::VecDeque;
use std::io::{self, Read, Write};

use proptest::prelude::*;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};
use ws_echo::protocol::{
    frame_inspector::FrameInspector,
    message_info::{MessageInfo, MessageKind},
    violation::Violation,
};

/// The lengths of the pieces that `scan` gets, repeated until the bytes are used up.
type Cuts = Vec<usize>;

/// A data message as a client may send it.
#[derive(Clone, Debug)]
struct Sent {
    kind: MessageKind,
    compressed: bool,
    payload: Vec<u8>,
    /// Where the payload is split into frames, in parts of 255.
    fragments: Vec<u8>,
    mask: [u8; 4],
    /// A Ping precedes every frame.
    pings: bool,
}

impl Sent {
    fn info(&self) -> MessageInfo {
        if self.compressed { MessageInfo::Compressed(self.kind) } else { MessageInfo::Plain }
    }

    /// Appends the frames, and records the position of byte 0 of a compressed message.
    fn write(&self, wire: &mut Vec<u8>, rewritten: &mut Vec<usize>) {
        let mut cuts: Vec<usize> =
            self.fragments.iter().map(|part| self.payload.len() * usize::from(*part) / 255).collect();
        cuts.sort_unstable();
        cuts.push(self.payload.len());
        let mut from = 0;
        for (number, to) in cuts.iter().enumerate() {
            if self.pings {
                frame(wire, 0x89, &[7; 3], self.mask);
            }
            let mut byte_0 = if number + 1 == cuts.len() { 0x80 } else { 0 };
            if number == 0 {
                byte_0 |= if self.kind == MessageKind::Text { 1 } else { 2 };
                if self.compressed {
                    byte_0 |= 0x40;
                    rewritten.push(wire.len());
                }
            }
            frame(wire, byte_0, &self.payload[from..*to], self.mask);
            from = *to;
        }
    }
}

fn write_all(messages: &[Sent], wire: &mut Vec<u8>, rewritten: &mut Vec<usize>) {
    for message in messages {
        message.write(wire, rewritten);
    }
}

fn frame(wire: &mut Vec<u8>, byte_0: u8, payload: &[u8], mask: [u8; 4]) {
    wire.extend(masked_with(byte_0, payload, mask));
}

fn sent() -> impl Strategy<Value = Sent> {
    let payload = prop_oneof![
        6 => any::<String>().prop_map(String::into_bytes),
        1 => (0..200_usize).prop_map(|n| "né€\u{10348}".repeat(n).into_bytes()),
        1 => Just("x".repeat(70_000).into_bytes()),
    ];
    let fragments = prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 0..4)];
    (any::<(bool, bool)>(), payload, fragments, any::<[u8; 4]>(), any::<bool>()).prop_map(
        |((text, compressed), payload, fragments, mask, pings)| {
            let kind = if text { MessageKind::Text } else { MessageKind::Binary };
            Sent { kind, compressed, payload, fragments, mask, pings }
        },
    )
}

fn cuts() -> impl Strategy<Value = Cuts> {
    prop_oneof![Just(vec![1]), Just(vec![usize::MAX]), prop::collection::vec(1..5000_usize, 1..8)]
}

/// Gives the bytes to the inspector in pieces. Returns the bytes that it passed on and the violation.
fn scan(inspector: &mut FrameInspector, bytes: &[u8], cuts: &[usize]) -> (Vec<u8>, Option<Violation>) {
    let mut bytes = bytes.to_vec();
    let mut at = 0_usize;
    for cut in cuts.iter().cycle() {
        let end = bytes.len().min(at.saturating_add(*cut));
        at += inspector.scan(&mut bytes[at..end]);
        if at < end {
            assert!(inspector.violation().is_some());
            assert_eq!(inspector.scan(&mut [0x81, 0x80]), 0, "nothing is passed on after a violation");
            break;
        }
        if at == bytes.len() {
            break;
        }
    }
    bytes.truncate(at);
    (bytes, inspector.violation())
}

/// A stream that reads through the inspector, as the server's transport does.
pub struct InspectedStream {
    pub inspector: FrameInspector,
    bytes: io::Cursor<Vec<u8>>,
    cuts: VecDeque<usize>,
    /// If set, every other read returns `WouldBlock`; the value is true when the last one did.
    pause: Option<bool>,
}

impl InspectedStream {
    /// Returns a stream of bytes in pieces of these lengths, repeated.
    pub fn new(deflate: bool, bytes: Vec<u8>, cuts: VecDeque<usize>) -> Self {
        Self { inspector: FrameInspector::new(deflate), bytes: io::Cursor::new(bytes), cuts, pause: None }
    }
}

impl Read for InspectedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(pause) = &mut self.pause {
            *pause = !*pause;
            if *pause {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        let cut = self.cuts.pop_front().unwrap_or(1);
        self.cuts.push_back(cut);
        let limit = buffer.len().min(cut);
        let count = self.bytes.read(&mut buffer[..limit])?;
        match self.inspector.scan(&mut buffer[..count]) {
            0 => self.inspector.violation().map_or(Ok(0), |violation| Err(io::Error::other(violation))),
            handed => Ok(handed),
        }
    }
}

impl Write for InspectedStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn websocket(deflate: bool, bytes: Vec<u8>, cuts: &[usize]) -> WebSocket<InspectedStream> {
    over(InspectedStream::new(deflate, bytes, cuts.iter().copied().collect()))
}

fn over(stream: InspectedStream) -> WebSocket<InspectedStream> {
    let config = WebSocketConfig::default().read_buffer_size(4096);
    WebSocket::from_raw_socket(stream, Role::Server, Some(config))
}

proptest! {
    #[test]
    fn inspector_changes_only_byte_0_of_compressed_messages(
        messages in prop::collection::vec(sent(), 1..8),
        cuts in cuts(),
    ) {
        let (mut wire, mut rewritten) = (Vec::new(), Vec::new());
        write_all(&messages, &mut wire, &mut rewritten);
        let mut inspector = FrameInspector::new(true);
        let (handed, violation) = scan(&mut inspector, &wire, &cuts);
        prop_assert_eq!(violation, None);
        for at in rewritten {
            wire[at] = wire[at] & 0x80 | 2;
        }
        prop_assert!(handed == wire);
        prop_assert!(!inspector.between_messages(), "messages are still queued");
        for message in &messages {
            prop_assert_eq!(inspector.next_message_info(), Some(message.info()));
        }
        prop_assert_eq!(inspector.next_message_info(), None);
        prop_assert!(inspector.between_messages());
    }

    #[test]
    fn inspector_and_tungstenite_agree_on_every_message(
        messages in prop::collection::vec(sent(), 1..8),
        cuts in cuts(),
    ) {
        let mut wire = Vec::new();
        write_all(&messages, &mut wire, &mut Vec::new());
        let mut socket = websocket(true, wire, &cuts);
        socket.get_mut().pause = Some(false);
        let mut rebuilt = 0;
        for message in &messages {
            let received = loop {
                match socket.read() {
                    Ok(Message::Ping(_)) => {}
                    // tungstenite has processed all bytes. Between messages it buffers none, so a new one over the
                    // same stream loses nothing.
                    Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                        if socket.get_ref().inspector.between_messages() {
                            socket = over(socket.into_inner());
                            rebuilt += 1;
                        }
                    }
                    other => break other.map_err(|error| TestCaseError::fail(error.to_string()))?,
                }
            };
            prop_assert_eq!(socket.get_mut().inspector.next_message_info(), Some(message.info()));
            prop_assert_eq!(received.is_text(), message.kind == MessageKind::Text && !message.compressed);
            prop_assert!(received.into_data() == message.payload);
        }
        prop_assert!(socket.get_ref().inspector.between_messages(), "between messages at the end");
        prop_assert!(cuts != [1] || rebuilt >= messages.len(), "byte by byte there is a pause before each message");
    }

    #[test]
    fn inspector_without_deflate_reports_rsv1_at_byte_0(message in sent(), cuts in cuts()) {
        let (mut wire, mut rewritten) = (Vec::new(), Vec::new());
        message.write(&mut wire, &mut rewritten);
        let (handed, violation) = scan(&mut FrameInspector::new(false), &wire, &cuts);
        let wanted = rewritten.first().copied();
        prop_assert_eq!(violation, wanted.map(|_| Violation::ReservedBits));
        prop_assert!(handed == wire[..wanted.unwrap_or(wire.len())]);
    }

    #[test]
    fn inspector_never_panics_and_changes_only_byte_0_and_close_code_1014(
        deflate in any::<bool>(),
        bytes in bytes_like_frames(),
        cuts in cuts(),
    ) {
        let mut inspector = FrameInspector::new(deflate);
        let (handed, violation) = scan(&mut inspector, &bytes, &cuts);
        let (fine, _) = scan(&mut FrameInspector::new(deflate), &bytes, &[1]);
        prop_assert!(violation.is_some() || handed.len() == bytes.len());
        prop_assert!(fine.len() <= handed.len(), "smaller pieces find a violation no later");
        prop_assert_eq!(&fine[..], &handed[..fine.len()]);
        for (before, after) in bytes.iter().zip(&handed).filter(|(before, after)| before != after) {
            // Close code 1014 becomes 1013, which differs in two bits.
            let close_code = inspector.close_code() == Some(1014) && *after == before ^ 3;
            prop_assert!(close_code || deflate && matches!(before & 0x7f, 0x41 | 0x42));
            prop_assert!(close_code || *after == before & 0x80 | 2);
        }
    }

    /// tungstenite gets what the inspector passes on, and must not panic.
    #[test]
    fn inspector_and_tungstenite_never_panic(bytes in bytes_like_frames(), cuts in cuts()) {
        let mut socket = websocket(true, bytes, &cuts);
        loop {
            match socket.read() {
                Ok(message) if message.is_text() || message.is_binary() => {
                    prop_assert!(socket.get_mut().inspector.next_message_info().is_some(), "a message without an info");
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }

    #[test]
    fn invalid_utf8_is_reported_at_the_earliest_byte(
        valid in any::<String>(),
        invalid in prop::collection::vec(any::<u8>(), 0..6),
        mask in any::<[u8; 4]>(),
        fragment in any::<bool>(),
        cuts in cuts(),
    ) {
        let mut text = valid.into_bytes();
        text.extend(invalid);
        let mut wire = Vec::new();
        // Never the last frame of the message, so that nothing is left to tungstenite.
        let half = if fragment { text.len() / 2 } else { 0 };
        frame(&mut wire, 0x01, &text[..half], mask);
        frame(&mut wire, 0x89, b"between", mask);
        let second = wire.len();
        frame(&mut wire, 0x00, &text[half..], mask);
        let header = wire.len() - second - (text.len() - half);
        let (handed, violation) = scan(&mut FrameInspector::new(true), &wire, &cuts);
        let proof = (0..text.len())
            .find(|at| str::from_utf8(&text[..=*at]).is_err_and(|error| error.error_len().is_some()));
        prop_assert_eq!(violation, proof.map(|_| Violation::InvalidUtf8));
        let wanted = proof.map_or(wire.len(), |at| if at < half { 6 + at } else { second + header + at - half });
        prop_assert_eq!(handed.len(), wanted);
    }
}

/// Random bytes that often look like the beginning of a frame, so that later rules are reached too.
fn bytes_like_frames() -> impl Strategy<Value = Vec<u8>> {
    let byte_0 = prop_oneof![
        4 => prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a, 0xc1, 0xc2, 0x41]),
        1 => any::<u8>(),
    ];
    let length = prop_oneof![4 => (0x80..=0x90_u8).boxed(), 1 => any::<u8>().boxed()];
    let piece =
        (byte_0, length, prop::collection::vec(any::<u8>(), 0..24)).prop_map(|(first, second, rest)| {
            let mut bytes = vec![first, second];
            bytes.extend(rest);
            // Mostly as long as its header says.
            if second & 0x7f < 20 {
                bytes.resize(6 + usize::from(second & 0x7f), 0x20);
            }
            bytes
        });
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}
