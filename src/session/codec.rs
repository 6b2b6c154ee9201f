//! Compression of one session's messages with permessage-deflate (RFC 7692).

use std::io;

use tungstenite::error::CapacityError;
use tungstenite::{Bytes, Error, Message, Utf8Bytes};

use crate::config::{Config, DEFAULT_DEFLATE_LEVEL};
use crate::platform::memory_budget::Reservation;
use crate::protocol::deflate::{deflate, deflate_if_smaller};
use crate::protocol::inflate::{InflateError, inflate_within};
use crate::protocol::message_info::{MessageInfo, MessageKind};
use crate::protocol::negotiation::Negotiated;
use crate::protocol::violation::Violation;

/// Inflates received messages and deflates sent ones.
///
/// A sent message is compressed if the last received message was. A client that compresses saves bandwidth,
/// one that does not saves CPU time; the server does the same. Before the first received message, a message
/// is compressed if that makes it smaller.
#[derive(Debug)]
pub(crate) struct Codec {
    /// The negotiated parameters; `None` without compression.
    negotiated: Option<Negotiated>,
    /// Compression level, 0 to 9.
    level: u32,
    /// Maximum size of an inflated message, in bytes.
    max_message: usize,
    /// Whether the last received message was compressed; `None` before the first.
    last_compressed: Option<bool>,
}

impl Codec {
    /// Creates the codec of a new session.
    pub(crate) fn new(negotiated: Option<Negotiated>, config: &Config) -> Self {
        let level = config.deflate.unwrap_or(DEFAULT_DEFLATE_LEVEL);
        Self { negotiated, level, max_message: config.max_message, last_compressed: None }
    }

    /// Returns the message as the client sent it, uncompressed and of its own kind. `message` is what
    /// tungstenite returned: a compressed message of either kind is binary there. `info` is from the frame
    /// inspector.
    ///
    /// # Errors
    /// Returns [`Error::Capacity`] if the inflated message exceeds the limit, or [`Error::Io`] with a
    /// [`Violation`] if it does not inflate or is a text message that is not UTF-8. The error is of the kind
    /// `OutOfMemory` if `memory` has not enough for the inflated message; else it is reserved, until the next
    /// count.
    pub(crate) fn decode(
        &mut self,
        message: Message,
        info: MessageInfo,
        memory: &mut Reservation,
    ) -> Result<Message, Error> {
        let MessageInfo::Compressed(kind) = info else {
            self.last_compressed = Some(false);
            return Ok(message);
        };
        self.last_compressed = Some(true);
        let held = memory.bytes();
        let reserve = |capacity: usize| memory.resize(held.saturating_add(capacity));
        let inflated =
            inflate_within(&message.into_data(), self.max_message, reserve).map_err(|error| match error {
                InflateError::TooLarge => {
                    // `inflate` stops at the limit, so the full size is unknown.
                    Error::Capacity(CapacityError::MessageTooLong {
                        size: self.max_message.saturating_add(1),
                        max_size: self.max_message,
                    })
                }
                InflateError::OutOfMemory => Error::Io(io::ErrorKind::OutOfMemory.into()),
                InflateError::Corrupt => violation_error(Violation::CorruptDeflate),
            })?;
        let payload = Bytes::from(inflated);
        match kind {
            MessageKind::Binary => Ok(Message::Binary(payload)),
            MessageKind::Text => Utf8Bytes::try_from(payload)
                .map(Message::Text)
                .map_err(|_| violation_error(Violation::InvalidUtf8)),
        }
    }

    /// Returns the compressed form of `prefix` followed by `payload`, or `None` if the message is to be sent
    /// uncompressed.
    pub(crate) fn encode(&self, prefix: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
        let window_bits = self.negotiated?.server_max_window_bits();
        let compress = match self.last_compressed {
            Some(true) => deflate,
            Some(false) => return None,
            None => deflate_if_smaller,
        };
        if prefix.is_empty() {
            return compress(payload, self.level, window_bits);
        }
        compress(&[prefix, payload].concat(), self.level, window_bits)
    }
}

/// Wraps a violation in the form in which the transport reports its own.
fn violation_error(violation: Violation) -> Error {
    Error::Io(io::Error::new(io::ErrorKind::InvalidData, violation))
}
