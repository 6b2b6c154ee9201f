//! The messages. Each is computed from the numbers of its connection and of itself, so that a reply is
//! verified without a copy of what was sent.
//!
//! A generated message starts with its identity: sequence number, then connection, in digits of [`DIGITS`],
//! lowest digit first. The rest is a slice of a shared pattern, at an offset computed from the identity.
//! Because the lowest digits come first, messages that are too short for the whole identity still differ from
//! the ones before and after them.

use super::{
    connection_fields::Tokens,
    sizes::Sizes,
    template::{Template, TemplateValues},
};
use crate::{net::message_kind::MessageKind, numbers};
use std::{borrow::Cow, sync::Arc};
use ws_echo::platform::random::splitmix64;

/// The digits of an identity: printable, for text messages.
const DIGITS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
/// Digits of a sequence number: 54 bits, enough for a message every 10 ns over five years.
const SEQUENCE_DIGITS: usize = 9;
/// Digits of a connection: 30 bits.
const CONNECTION_DIGITS: usize = 5;
/// Length of an identity, in bytes.
const IDENTITY: usize = SEQUENCE_DIGITS + CONNECTION_DIGITS;
/// Number of bytes of a reply that are searched for an identity, in case the server sends an unexpected
/// prefix.
const SEARCHED: usize = 256;
/// Number of offsets into the pattern. A power of two.
const OFFSETS: usize = 4096;

/// Where messages come from.
#[derive(Debug)]
pub(crate) enum PayloadSource {
    /// Generated, with these sizes.
    Generated { sizes: Sizes, seed: u64 },
    /// Messages of the user, repeated. Each connection starts at another one. `origin` describes them.
    Given { origin: String, messages: Vec<Vec<u8>> },
    /// The same, with placeholders.
    Templates { origin: String, templates: Vec<Template>, tokens: Arc<Tokens>, nonce: u64 },
}

/// All messages of a run. Shared by all threads.
#[derive(Debug)]
pub(crate) struct Payloads {
    source: PayloadSource,
    pub(crate) kind: MessageKind,
    /// The pattern of generated messages. Text: printable characters, so that any slice is UTF-8. Binary: all
    /// byte values, so that a server that converts them to text is detected.
    pattern: Vec<u8>,
}

impl Payloads {
    /// Creates the messages, and the pattern behind generated ones.
    pub(crate) fn new(source: PayloadSource, kind: MessageKind) -> Self {
        let length = match &source {
            PayloadSource::Generated { sizes, .. } => numbers::usize_to_u64(sizes.max() + OFFSETS),
            PayloadSource::Given { .. } | PayloadSource::Templates { .. } => 0,
        };
        let byte = |number| match kind {
            MessageKind::Text => DIGITS[numbers::u64_to_usize(splitmix64(number) % 64)],
            MessageKind::Binary => splitmix64(number).to_le_bytes()[0],
        };
        Self { source, kind, pattern: (0..length).map(byte).collect() }
    }

    /// Returns the length of the longest message, in bytes.
    pub(crate) fn max_len(&self) -> usize {
        match &self.source {
            PayloadSource::Generated { sizes, .. } => sizes.max(),
            PayloadSource::Given { messages, .. } => messages.iter().map(Vec::len).max().unwrap_or(0),
            PayloadSource::Templates { templates, tokens, .. } => {
                templates.iter().map(|template| template.max_len(tokens.max_len())).max().unwrap_or(0)
            }
        }
    }

    /// Describes the messages for the report.
    pub(crate) fn describe(&self) -> String {
        let kind = if self.kind == MessageKind::Text { "text" } else { "binary" };
        match &self.source {
            PayloadSource::Generated { sizes, .. } => format!("{kind}, {sizes}"),
            PayloadSource::Given { origin, .. } => format!("{kind}, {origin}"),
            PayloadSource::Templates { origin, .. } => format!("{kind}, {origin}, with placeholders"),
        }
    }

    /// Returns whether `reply` is message `sequence` of `connection`, byte for byte.
    pub(crate) fn matches(&self, connection: u32, sequence: u64, reply: &[u8]) -> bool {
        let parts = self.parts(connection, sequence);
        reply.len() == parts.len()
            && reply.starts_with(parts.head())
            && reply.get(parts.head().len()..) == Some(parts.tail())
    }

    /// Returns whether `reply` could be a changed message `sequence`: it has the same length, or contains
    /// the identity in its first [`SEARCHED`] bytes.
    pub(crate) fn looks_changed(&self, connection: u32, sequence: u64, reply: &[u8]) -> bool {
        let parts = self.parts(connection, sequence);
        let beginning = reply.get(..SEARCHED).unwrap_or(reply);
        let has_identity = || beginning.windows(IDENTITY).any(|window| window == parts.head());
        reply.len() == parts.len()
            || (parts.head_len == IDENTITY && has_identity())
            || (parts.head_len == 0 && !parts.tail().is_empty() && reply.ends_with(parts.tail()))
    }

    /// Returns connection and sequence number of a generated message. `None` if any byte of it is wrong.
    pub(crate) fn identify(&self, reply: &[u8]) -> Option<(u32, u64)> {
        self.claims(reply).filter(|(connection, sequence)| self.matches(*connection, *sequence, reply))
    }

    /// Returns connection and sequence number that a generated message begins with. The rest may be wrong.
    pub(crate) fn claims(&self, reply: &[u8]) -> Option<(u32, u64)> {
        if !matches!(self.source, PayloadSource::Generated { .. }) {
            return None;
        }
        let sequence = parse_digits(reply.get(..SEQUENCE_DIGITS)?)?;
        let connection = u32::try_from(parse_digits(reply.get(SEQUENCE_DIGITS..IDENTITY)?)?).ok()?;
        Some((connection, sequence))
    }

    /// Returns whether each message contains its whole identity.
    pub(crate) fn have_identities(&self) -> bool {
        matches!(&self.source, PayloadSource::Generated { sizes, .. } if sizes.min() >= IDENTITY)
    }

    /// Returns message `sequence` of `connection`.
    pub(crate) fn parts(&self, connection: u32, sequence: u64) -> PayloadParts<'_> {
        match &self.source {
            PayloadSource::Generated { sizes, seed } => {
                let number = splitmix64(seed ^ splitmix64(sequence ^ (u64::from(connection) << 40)));
                let size = sizes.pick(number);
                let head_len = size.min(IDENTITY);
                let offset = numbers::u64_to_usize(number >> 32) % OFFSETS;
                let range = offset..offset + (size - head_len);
                let mut identity = [0; IDENTITY];
                write_digits(&mut identity[..SEQUENCE_DIGITS], sequence);
                write_digits(&mut identity[SEQUENCE_DIGITS..], u64::from(connection));
                let tail = Cow::Borrowed(self.pattern.get(range).unwrap_or_default());
                PayloadParts { identity, head_len, tail }
            }
            PayloadSource::Given { messages, .. } => {
                let message = nth(messages, connection, sequence).map_or(&[][..], Vec::as_slice);
                PayloadParts { identity: [0; IDENTITY], head_len: 0, tail: Cow::Borrowed(message) }
            }
            PayloadSource::Templates { templates, tokens, nonce, .. } => {
                let token = tokens.of(connection);
                let values = TemplateValues { connection, sequence, token, nonce: *nonce };
                let template = nth(templates, connection, sequence);
                let message = template.map(|template| template.expand(values)).unwrap_or_default();
                PayloadParts { identity: [0; IDENTITY], head_len: 0, tail: Cow::Owned(message) }
            }
        }
    }
}

/// Returns the item that is message `sequence` of `connection`.
fn nth<T>(items: &[T], connection: u32, sequence: u64) -> Option<&T> {
    let index =
        sequence.wrapping_add(u64::from(connection)).checked_rem(numbers::usize_to_u64(items.len()))?;
    items.get(numbers::u64_to_usize(index))
}

/// A message in two parts. Only a message with placeholders is copied.
#[derive(Debug)]
pub(crate) struct PayloadParts<'a> {
    identity: [u8; IDENTITY],
    head_len: usize,
    tail: Cow<'a, [u8]>,
}

impl PayloadParts<'_> {
    fn head(&self) -> &[u8] {
        &self.identity[..self.head_len]
    }

    fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Returns both parts.
    pub(crate) fn both(&self) -> [&[u8]; 2] {
        [self.head(), self.tail()]
    }

    pub(crate) fn len(&self) -> usize {
        self.head_len + self.tail.len()
    }
}

fn write_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits {
        *digit = DIGITS[numbers::u64_to_usize(number % 64)];
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

    fn generated(sizes: &str, kind: MessageKind) -> Payloads {
        let sizes = sizes.parse().expect("a size that parses");
        Payloads::new(PayloadSource::Generated { sizes, seed: 7 }, kind)
    }

    #[test]
    fn payload_matches_itself_and_no_other() {
        for kind in [MessageKind::Text, MessageKind::Binary] {
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
    fn payload_with_a_flipped_byte_does_not_match() {
        let payloads = generated("64", MessageKind::Binary);
        let message = payloads.parts(1, 99).both().concat();
        for index in 0..message.len() {
            let mut changed = message.clone();
            changed[index] ^= 1;
            assert!(!payloads.matches(1, 99, &changed), "byte {index}");
            assert!(payloads.looks_changed(1, 99, &changed));
        }
    }

    #[test]
    fn payload_shorter_than_its_identity_has_its_length() {
        let payloads = generated("0..13", MessageKind::Text);
        for sequence in 0..100 {
            let message = payloads.parts(0, sequence).both().concat();
            assert!(message.len() <= 13);
            assert!(payloads.matches(0, sequence, &message));
            assert_eq!(payloads.identify(&message), None);
        }
    }
}
