//! Rewrites compressed messages for tungstenite, which does not support permessage-deflate.

use super::message_kind::MessageKind;
use crate::numbers;
use std::collections::VecDeque;

/// Follows the received frames. Clears RSV1, which tungstenite rejects, and records what each message was.
/// Starts in the response to the handshake, because messages may follow it in the same read.
#[derive(Debug, Default)]
pub(crate) struct FrameInspector {
    state: InspectorState,
    /// Kind and compression of every data message that has begun and was not popped.
    messages: VecDeque<(MessageKind, bool)>,
}

#[derive(Debug)]
enum InspectorState {
    /// In the response head, with this many bytes of the empty line at its end matched.
    Head(usize),
    /// At the first byte of a frame.
    Start,
    /// At the second byte.
    Length,
    /// At an extended length, with `left` bytes of it to come.
    LongLength { left: u8, length: u64 },
    /// With this many bytes of payload to come.
    Payload(u64),
}

impl Default for InspectorState {
    fn default() -> Self {
        Self::Head(0)
    }
}

impl FrameInspector {
    /// Returns the kind of the next message, and whether it was compressed.
    pub(crate) fn pop(&mut self) -> Option<(MessageKind, bool)> {
        self.messages.pop_front()
    }

    /// Inspects bytes that were just read, and rewrites them in place.
    pub(crate) fn inspect(&mut self, mut bytes: &mut [u8]) {
        while let Some((first, rest)) = bytes.split_first_mut() {
            self.state = match self.state {
                InspectorState::Head(matched) => head(matched, *first),
                InspectorState::Start => {
                    self.first_byte(first);
                    InspectorState::Length
                }
                InspectorState::Length => match *first & 0x7f {
                    126 => InspectorState::LongLength { left: 2, length: 0 },
                    127 => InspectorState::LongLength { left: 8, length: 0 },
                    length => payload(u64::from(length)),
                },
                InspectorState::LongLength { left, length } => {
                    let length = length << 8 | u64::from(*first);
                    if left == 1 {
                        payload(length)
                    } else {
                        InspectorState::LongLength { left: left - 1, length }
                    }
                }
                InspectorState::Payload(left) => {
                    // `first` is one of the bytes that are left.
                    let more = numbers::u64_to_usize(left - 1).min(rest.len());
                    self.state = payload(left - 1 - numbers::usize_to_u64(more));
                    bytes = rest.get_mut(more..).unwrap_or_default();
                    continue;
                }
            };
            bytes = rest;
        }
    }

    fn first_byte(&mut self, byte: &mut u8) {
        let kind = match *byte & 0x0f {
            1 => MessageKind::Text,
            2 => MessageKind::Binary,
            _ => return,
        };
        let compressed = *byte & 0x40 != 0;
        if compressed {
            // Compressed text is not UTF-8, so tungstenite must take it for binary.
            *byte = *byte & 0xb0 | 2;
        }
        self.messages.push_back((kind, compressed));
    }
}

fn head(matched: usize, byte: u8) -> InspectorState {
    const END: &[u8; 4] = b"\r\n\r\n";
    match (END.get(matched) == Some(&byte), byte) {
        (true, _) if matched + 1 == END.len() => InspectorState::Start,
        (true, _) => InspectorState::Head(matched + 1),
        (false, b'\r') => InspectorState::Head(1),
        _ => InspectorState::Head(0),
    }
}

fn payload(length: u64) -> InspectorState {
    if length == 0 { InspectorState::Start } else { InspectorState::Payload(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_inspector_rewrites_only_the_first_byte_of_compressed_messages() {
        let mut stream = b"HTTP/1.1 101 X\r\nA: \xc1\r\n\r\n".to_vec();
        let head = stream.len();
        stream.extend([0xc1, 2, 0xc1, 0xc1, 0x89, 1, 0xc1, 0x81, 0, 0x42, 126, 0, 3, 1, 2, 3, 0x80, 1, 0xc1]);
        for step in 1..stream.len() {
            let (mut inspector, mut bytes) = (FrameInspector::default(), stream.clone());
            bytes.chunks_mut(step).for_each(|chunk| inspector.inspect(chunk));
            let expected =
                [0x82, 2, 0xc1, 0xc1, 0x89, 1, 0xc1, 0x81, 0, 2, 126, 0, 3, 1, 2, 3, 0x80, 1, 0xc1];
            assert_eq!(bytes[head..], expected, "in steps of {step}");
            let popped: Vec<_> = std::iter::from_fn(|| inspector.pop()).collect();
            let expected =
                [(MessageKind::Text, true), (MessageKind::Text, false), (MessageKind::Binary, true)];
            assert_eq!(popped, expected);
        }
    }
}
