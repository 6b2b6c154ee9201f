//! What is sent: every message can be made again from the connection's number and its own, so that a reply is
//! verified without keeping what was sent.
//!
//! A generated message starts with its identity (its sequence number, then its connection, both in digits of
//! [`DIGITS`], lowest first) and goes on with a slice of a shared pattern, at an offset that the identity gives. Lowest
//! digits first, so that messages too short for the whole identity still differ from their neighbours.

use super::{numbers, sizes::Sizes};
use std::path::PathBuf;
use ws_echo::platform::random::splitmix64;

/// The digits of an identity: printable, so that it may stand in a text message.
const DIGITS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
/// Digits for a sequence number: 54 bits, five years of a message every 10 ns.
const SEQUENCE_DIGITS: usize = 9;
/// Digits for a connection: 30 bits.
const CONNECTION_DIGITS: usize = 5;
/// Both together.
const IDENTITY: usize = SEQUENCE_DIGITS + CONNECTION_DIGITS;
/// How far into a reply its identity is looked for, should a server put words in front that it was not to.
const SEARCHED: usize = 256;
/// How many offsets into the pattern there are; a power of two.
const OFFSETS: usize = 4096;

/// Whether a message is text or binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8, opcode 1.
    Text,
    /// Any bytes, opcode 2.
    Binary,
}

/// Where messages come from.
#[derive(Debug)]
pub(super) enum Source {
    /// Made up, of these sizes.
    Generated { sizes: Sizes, seed: u64 },
    /// The lines of a file, over and over; every connection starts at another line.
    Lines { path: PathBuf, lines: Vec<String> },
}

/// The maker of messages, shared by all threads.
#[derive(Debug)]
pub(super) struct Payloads {
    source: Source,
    pub(super) kind: Kind,
    /// Printable, so that any slice of it is text.
    pattern: String,
    /// Every byte value: a server that takes binary for text shows up.
    binary_pattern: Vec<u8>,
}

impl Payloads {
    pub(super) fn new(source: Source, kind: Kind) -> Self {
        let (mut pattern, mut binary_pattern) = (String::new(), Vec::new());
        if let Source::Generated { sizes, .. } = &source {
            let length = sizes.max() + OFFSETS;
            match kind {
                Kind::Text => {
                    let digit = |n| char::from(DIGITS[numbers::narrow(n % 64)]);
                    pattern = (0..numbers::wide(length)).map(|i| digit(splitmix64(i))).collect();
                }
                Kind::Binary => {
                    binary_pattern =
                        (0..numbers::wide(length)).map(|i| splitmix64(i).to_le_bytes()[0]).collect();
                }
            }
        }
        Self { source, kind, pattern, binary_pattern }
    }

    /// The longest message, for limits and buffers.
    pub(super) fn max_len(&self) -> usize {
        match &self.source {
            Source::Generated { sizes, .. } => sizes.max(),
            Source::Lines { lines, .. } => lines.iter().map(String::len).max().unwrap_or(0),
        }
    }

    /// A word or two on what is sent, for the report.
    pub(super) fn describe(&self) -> String {
        let kind = if self.kind == Kind::Text { "text" } else { "binary" };
        match &self.source {
            Source::Generated { sizes, .. } => format!("{kind}, {sizes}"),
            Source::Lines { path, lines } => {
                format!("{kind}, the {} lines of {}", lines.len(), path.display())
            }
        }
    }

    /// Whether `reply` is message `sequence` of `connection`, byte for byte.
    pub(super) fn matches(&self, connection: u32, sequence: u64, reply: &[u8]) -> bool {
        let parts = self.parts(connection, sequence);
        reply.len() == parts.len()
            && reply.starts_with(parts.head())
            && reply.get(parts.head().len()..) == Some(parts.tail())
    }

    /// Whether `reply` could be message `sequence` spoiled on its way: the length is right, or
    /// the identity stands near its beginning.
    pub(super) fn resembles(&self, connection: u32, sequence: u64, reply: &[u8]) -> bool {
        let parts = self.parts(connection, sequence);
        let beginning = reply.get(..SEARCHED).unwrap_or(reply);
        let has_identity = || beginning.windows(IDENTITY).any(|window| window == parts.head());
        reply.len() == parts.len()
            || (parts.head_len == IDENTITY && has_identity())
            || (parts.head_len == 0 && !parts.tail().is_empty() && reply.ends_with(parts.tail()))
    }

    /// The connection and sequence number that a generated message carries, if it is whole.
    pub(super) fn identify(&self, reply: &[u8]) -> Option<(u32, u64)> {
        if matches!(self.source, Source::Lines { .. }) {
            return None;
        }
        let sequence = parse_digits(reply.get(..SEQUENCE_DIGITS)?)?;
        let connection = u32::try_from(parse_digits(reply.get(SEQUENCE_DIGITS..IDENTITY)?)?).ok()?;
        self.matches(connection, sequence, reply).then_some((connection, sequence))
    }

    /// Message `sequence` of `connection`.
    pub(super) fn parts(&self, connection: u32, sequence: u64) -> Parts<'_> {
        match &self.source {
            Source::Generated { sizes, seed } => {
                let number = splitmix64(seed ^ splitmix64(sequence ^ (u64::from(connection) << 40)));
                let size = sizes.pick(number);
                let head_len = size.min(IDENTITY);
                let offset = numbers::narrow(number >> 32) % OFFSETS;
                let range = offset..offset + (size - head_len);
                let mut identity = [0; IDENTITY];
                write_digits(&mut identity[..SEQUENCE_DIGITS], sequence);
                write_digits(&mut identity[SEQUENCE_DIGITS..], u64::from(connection));
                let text = self.pattern.get(range.clone()).unwrap_or_default();
                let binary = self.binary_pattern.get(range).unwrap_or_default();
                Parts { identity, head_len, text, binary }
            }
            Source::Lines { lines, .. } => {
                let turn = sequence.wrapping_add(u64::from(connection)) % numbers::wide(lines.len()).max(1);
                let text = lines.get(numbers::narrow(turn)).map_or("", String::as_str);
                Parts { identity: [0; IDENTITY], head_len: 0, text, binary: &[] }
            }
        }
    }
}

/// A message in its two pieces, neither of them copied. At most one of `text` and `binary` is filled.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    identity: [u8; IDENTITY],
    head_len: usize,
    text: &'a str,
    binary: &'a [u8],
}

impl Parts<'_> {
    fn head(&self) -> &[u8] {
        &self.identity[..self.head_len]
    }

    fn tail(&self) -> &[u8] {
        if self.binary.is_empty() { self.text.as_bytes() } else { self.binary }
    }

    /// Both pieces.
    pub(super) fn both(&self) -> [&[u8]; 2] {
        [self.head(), self.tail()]
    }

    pub(super) fn len(&self) -> usize {
        self.head_len + self.text.len() + self.binary.len()
    }
}

fn write_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits {
        *digit = DIGITS[numbers::narrow(number % 64)];
        number /= 64;
    }
}

fn parse_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().rev().try_fold(0_u64, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'z' => digit - b'a' + 10,
            b'A'..=b'Z' => digit - b'A' + 36,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        Some(number * 64 + u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(sizes: &str, kind: Kind) -> Payloads {
        let sizes = sizes.parse().expect("a size that parses");
        Payloads::new(Source::Generated { sizes, seed: 7 }, kind)
    }

    #[test]
    fn a_message_matches_itself_and_no_other() {
        for kind in [Kind::Text, Kind::Binary] {
            let payloads = generated("20..3000", kind);
            for sequence in 0..200 {
                let message = payloads.parts(3, sequence).both().concat();
                assert!(payloads.matches(3, sequence, &message));
                assert!(!payloads.matches(3, sequence + 1, &message));
                assert!(!payloads.matches(4, sequence, &message));
                assert_eq!(payloads.identify(&message), Some((3, sequence)));
            }
        }
    }

    #[test]
    fn any_flipped_byte_is_seen() {
        let payloads = generated("64", Kind::Binary);
        let message = payloads.parts(1, 99).both().concat();
        for index in 0..message.len() {
            let mut spoiled = message.clone();
            spoiled[index] ^= 1;
            assert!(!payloads.matches(1, 99, &spoiled), "byte {index}");
            assert!(payloads.resembles(1, 99, &spoiled));
        }
    }

    #[test]
    fn short_messages_have_their_length() {
        let payloads = generated("0..13", Kind::Text);
        for sequence in 0..100 {
            let message = payloads.parts(0, sequence).both().concat();
            assert!(message.len() <= 13);
            assert!(payloads.matches(0, sequence, &message));
            assert_eq!(payloads.identify(&message), None);
        }
    }
}
