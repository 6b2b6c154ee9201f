//! The client's side of permessage-deflate (RFC 7692), without context takeover in either direction: every message
//! stands for itself, so the compressor and the decompressor of a thread serve all of its connections.

use super::{numbers, payload::Kind};
use std::collections::VecDeque;
use tungstenite::http::HeaderMap;
use ws_echo::protocol;

/// What `--deflate` offers.
pub(super) const OFFER: &str = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
/// The window that a client has when the offer leaves it open.
const WINDOW_BITS: u8 = 15;

/// What the server made of [`OFFER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Declined,
    Agreed,
    /// It agreed to something that was not offered.
    Unusable,
}

/// Reads the server's answer.
pub(super) fn answer(headers: &HeaderMap) -> Answer {
    let text = headers.get_all("sec-websocket-extensions").iter().filter_map(|value| value.to_str().ok());
    let mut answer = Answer::Declined;
    for extension in text.flat_map(|line| line.split(',')) {
        let mut words = extension.split(';').map(str::trim);
        if words.next() != Some("permessage-deflate") || answer != Answer::Declined {
            return Answer::Unusable;
        }
        // With its context kept, each message would need the ones before it.
        let no_takeover = words.any(|word| word.eq_ignore_ascii_case("server_no_context_takeover"));
        answer = if no_takeover { Answer::Agreed } else { Answer::Unusable };
    }
    answer
}

/// The payload of a compressed message. `None` only if the compressor fails, which no message makes it do.
pub(super) fn deflate(message: &[u8]) -> Option<Vec<u8>> {
    protocol::deflate::deflate(message, ws_echo::config::DEFAULT_DEFLATE_LEVEL, WINDOW_BITS)
}

/// The message behind a compressed payload, or `None` if it is not deflate or longer than `max`.
pub(super) fn inflate(payload: &[u8], max: usize) -> Option<Vec<u8>> {
    protocol::inflate::inflate(payload, max).ok()
}

/// Follows the frames that come in and clears RSV1, which tungstenite refuses, noting what each message was. It starts
/// in the answer to the handshake, since messages may follow that in the same read.
#[derive(Debug, Default)]
pub(super) struct Tap {
    state: TapState,
    /// One entry for every data message that began and was not popped: its kind, and whether it is compressed.
    messages: VecDeque<(Kind, bool)>,
}

#[derive(Debug)]
enum TapState {
    /// In the head, so many bytes into the empty line that ends it.
    Head(usize),
    /// At the first byte of a frame.
    Start,
    /// At the second.
    Length,
    /// So many bytes of a longer length to come.
    LongLength { left: u8, length: u64 },
    /// So many bytes of payload to come.
    Payload(u64),
}

impl Default for TapState {
    fn default() -> Self {
        Self::Head(0)
    }
}

impl Tap {
    /// What the next message is.
    pub(super) fn pop(&mut self) -> Option<(Kind, bool)> {
        self.messages.pop_front()
    }

    /// Rewrites bytes that were just read.
    pub(super) fn pass(&mut self, mut bytes: &mut [u8]) {
        while let Some((first, rest)) = bytes.split_first_mut() {
            self.state = match self.state {
                TapState::Head(matched) => head(matched, *first),
                TapState::Start => {
                    self.first_byte(first);
                    TapState::Length
                }
                TapState::Length => match *first & 0x7f {
                    126 => TapState::LongLength { left: 2, length: 0 },
                    127 => TapState::LongLength { left: 8, length: 0 },
                    length => payload(u64::from(length)),
                },
                TapState::LongLength { left, length } => {
                    let length = length << 8 | u64::from(*first);
                    if left == 1 { payload(length) } else { TapState::LongLength { left: left - 1, length } }
                }
                TapState::Payload(left) => {
                    // The first byte is one of them.
                    let more = numbers::narrow(left - 1).min(rest.len());
                    self.state = payload(left - 1 - numbers::wide(more));
                    bytes = rest.get_mut(more..).unwrap_or_default();
                    continue;
                }
            };
            bytes = rest;
        }
    }

    fn first_byte(&mut self, byte: &mut u8) {
        let kind = match *byte & 0x0f {
            1 => Kind::Text,
            2 => Kind::Binary,
            _ => return,
        };
        let compressed = *byte & 0x40 != 0;
        if compressed {
            // Compressed text is not UTF-8: it travels on as binary.
            *byte = *byte & 0xb0 | 2;
        }
        self.messages.push_back((kind, compressed));
    }
}

fn head(matched: usize, byte: u8) -> TapState {
    const END: &[u8; 4] = b"\r\n\r\n";
    match (END.get(matched) == Some(&byte), byte) {
        (true, _) if matched + 1 == END.len() => TapState::Start,
        (true, _) => TapState::Head(matched + 1),
        (false, b'\r') => TapState::Head(1),
        _ => TapState::Head(0),
    }
}

fn payload(length: u64) -> TapState {
    if length == 0 { TapState::Start } else { TapState::Payload(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tap_rewrites_only_the_first_byte_of_compressed_messages() {
        let mut stream = b"HTTP/1.1 101 X\r\nA: \xc1\r\n\r\n".to_vec();
        let head = stream.len();
        stream.extend([0xc1, 2, 0xc1, 0xc1, 0x89, 1, 0xc1, 0x81, 0, 0x42, 126, 0, 3, 1, 2, 3, 0x80, 1, 0xc1]);
        for step in 1..stream.len() {
            let (mut tap, mut bytes) = (Tap::default(), stream.clone());
            bytes.chunks_mut(step).for_each(|chunk| tap.pass(chunk));
            let expected =
                [0x82, 2, 0xc1, 0xc1, 0x89, 1, 0xc1, 0x81, 0, 2, 126, 0, 3, 1, 2, 3, 0x80, 1, 0xc1];
            assert_eq!(bytes[head..], expected, "in steps of {step}");
            let popped: Vec<_> = std::iter::from_fn(|| tap.pop()).collect();
            assert_eq!(popped, [(Kind::Text, true), (Kind::Text, false), (Kind::Binary, true)]);
        }
    }
}
