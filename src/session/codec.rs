//! Compression of one session's messages, where it was agreed on (RFC 7692).

use tungstenite::error::CapacityError;
use tungstenite::{Bytes, Error, Message, Utf8Bytes};

use crate::config::Config;
use crate::protocol::deflate::{DEFAULT_LEVEL, deflate, deflate_if_smaller};
use crate::protocol::inflate::{InflateError, inflate};
use crate::protocol::negotiation::Negotiated;
use crate::protocol::{
    message_info::{MessageInfo, MessageKind},
    violation::Violation,
};

/// Inflates what comes compressed, and answers it in kind.
///
/// A compressed message is answered compressed and a plain one plain: whoever sends small messages plain knows why,
/// and a client's choice is the best guess at what its line and its processor prefer. What the server says before it
/// has heard anything is compressed where that helps.
#[derive(Debug)]
pub(crate) struct Codec {
    /// What was agreed on.
    negotiated: Option<Negotiated>,
    /// Level of compression.
    level: u32,
    /// Largest message, inflated, in bytes.
    max_message: usize,
    /// Whether the last message came compressed; `None` before the first.
    last_compressed: Option<bool>,
}

impl Codec {
    /// The codec of a session that has just begun.
    pub(crate) fn new(negotiated: Option<Negotiated>, config: &Config) -> Self {
        let level = config.deflate.unwrap_or(DEFAULT_LEVEL);
        Self { negotiated, level, max_message: config.max_message, last_compressed: None }
    }

    /// The message that was sent, given the one that tungstenite took from the wire.
    pub(crate) fn decode(&mut self, message: Message, info: MessageInfo) -> Result<Message, Error> {
        let MessageInfo::Compressed(kind) = info else {
            self.last_compressed = Some(false);
            return Ok(message);
        };
        self.last_compressed = Some(true);
        let inflated = inflate(&message.into_data(), self.max_message).map_err(|error| match error {
            InflateError::TooLarge => {
                // How much larger, nobody has found out.
                Error::Capacity(CapacityError::MessageTooLong {
                    size: self.max_message.saturating_add(1),
                    max_size: self.max_message,
                })
            }
            InflateError::Corrupt => protocol_error(Violation::CorruptDeflate),
        })?;
        let payload = Bytes::from(inflated);
        match kind {
            MessageKind::Binary => Ok(Message::Binary(payload)),
            MessageKind::Text => Utf8Bytes::try_from(payload)
                .map(Message::Text)
                .map_err(|_| protocol_error(Violation::InvalidUtf8)),
        }
    }

    /// The compressed form of a payload that lies in two parts; `None` when it is to be sent as it is.
    pub(crate) fn encode(&self, prefix: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
        let window = self.negotiated?.server_max_window_bits();
        let compress = match self.last_compressed {
            Some(true) => deflate,
            Some(false) => return None,
            None => deflate_if_smaller,
        };
        if prefix.is_empty() {
            return compress(payload, self.level, window);
        }
        compress(&[prefix, payload].concat(), self.level, window)
    }
}

/// A breach of the protocol, as the transport reports its own.
fn protocol_error(violation: Violation) -> Error {
    Error::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, violation))
}
