//! The client's side of permessage-deflate (RFC 7692), without context takeover in either direction: every
//! message is compressed alone, so one compressor and one decompressor serve all connections of a thread.

use tungstenite::http::HeaderMap;
use ws_echo::{config, protocol};

/// The offer of `--deflate`.
pub(crate) const OFFER: &str = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
/// The client's window where the offer does not limit it (RFC 7692, 7.1.2).
const WINDOW_BITS: u8 = 15;

/// The server's response to [`OFFER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OfferResult {
    Declined,
    Agreed,
    /// It agreed to something that was not offered.
    Unusable,
}

/// Reads the server's response from the header fields of the 101.
pub(crate) fn offer_result(headers: &HeaderMap) -> OfferResult {
    let fields = headers.get_all("sec-websocket-extensions").iter().filter_map(|value| value.to_str().ok());
    let mut result = OfferResult::Declined;
    for extension in fields.flat_map(|line| line.split(',')) {
        let mut parts = extension.split(';').map(str::trim);
        if parts.next() != Some("permessage-deflate") || result != OfferResult::Declined {
            return OfferResult::Unusable;
        }
        // With context takeover, a message could not be inflated without the ones before it.
        let no_takeover = parts.any(|parameter| parameter.eq_ignore_ascii_case("server_no_context_takeover"));
        result = if no_takeover { OfferResult::Agreed } else { OfferResult::Unusable };
    }
    result
}

/// Returns the compressed payload of `message`. `None` if the compressor fails, which does not depend on the
/// message.
pub(crate) fn deflate(message: &[u8]) -> Option<Vec<u8>> {
    protocol::deflate::deflate(message, config::DEFAULT_DEFLATE_LEVEL, WINDOW_BITS)
}

/// Returns the message in a compressed payload. `None` if it is not deflate, or longer than `max` bytes.
pub(crate) fn inflate(payload: &[u8], max: usize) -> Option<Vec<u8>> {
    protocol::inflate::inflate(payload, max).ok()
}
