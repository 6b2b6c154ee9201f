//! Accepts a permessage-deflate offer and formats the response to it (RFC 7692, sections 5 and 7.1).

use std::fmt;

pub use super::offer::MalformedHeader;
use super::offer::{Offer, OfferParameter, parse};

const NAME: &str = "permessage-deflate";

/// Negotiated parameters of one session.
///
/// Neither side takes over context, so sessions share compressors and decompressors. The server may require
/// this even if the client did not offer it (sections 7.1.1.1 and 7.1.1.2). The client's window is not
/// limited: the server inflates any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Largest window that the client accepts, if it sent one. The response repeats it.
    offered_window_bits: Option<u8>,
}

impl Negotiated {
    /// Returns the window for compression in bits, 9 to 15.
    #[must_use]
    pub fn server_max_window_bits(self) -> u8 {
        self.offered_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }
}

/// Formats the value of the response's `Sec-WebSocket-Extensions` field.
impl fmt::Display for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}; server_no_context_takeover; client_no_context_takeover")?;
        self.offered_window_bits.map_or(Ok(()), |bits| write!(f, "; server_max_window_bits={bits}"))
    }
}

/// Accepts the first acceptable offer in a request's `Sec-WebSocket-Extensions` lines, given in order.
/// Returns `None` if there is none; the session is then not compressed.
///
/// # Errors
///
/// A line is malformed; the response is 400.
pub fn negotiate<'a>(
    lines: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<Negotiated>, MalformedHeader> {
    let mut accepted = None;
    // Parses all lines even after a match, so that a malformed line always fails the request.
    for line in lines {
        for offer in parse(line)? {
            accepted = accepted.or_else(|| accept(&offer));
        }
    }
    Ok(accepted)
}

/// Returns `None` if a parameter is unknown, duplicate or has an invalid value (section 7.1).
fn accept(offer: &Offer<'_>) -> Option<Negotiated> {
    if offer.name != NAME {
        return None;
    }
    let mut offered_window_bits = None;
    for (index, parameter) in offer.parameters.iter().enumerate() {
        if offer.parameters[..index].iter().any(|earlier| earlier.name == parameter.name) {
            return None;
        }
        match parameter.name {
            "server_no_context_takeover" | "client_no_context_takeover" => {
                if parameter.value.is_some() {
                    return None;
                }
            }
            // Permits the server to limit the client's window; the server does not.
            "client_max_window_bits" => {
                if parameter.value.is_some() {
                    window_bits(parameter)?;
                }
            }
            "server_max_window_bits" => {
                // zlib cannot write a raw stream with a window of 256 bytes (8 bits).
                offered_window_bits = Some(window_bits(parameter).filter(|bits| *bits >= MIN_WINDOW_BITS)?);
            }
            _ => return None,
        }
    }
    Some(Negotiated { offered_window_bits })
}

/// Smallest window that zlib can compress with, in bits.
const MIN_WINDOW_BITS: u8 = 9;
/// Largest window, and the default, in bits (section 7.1.2).
const MAX_WINDOW_BITS: u8 = 15;

/// Parses a window size: 8 to 15 without leading zeros (section 7.1.2).
fn window_bits(parameter: &OfferParameter<'_>) -> Option<u8> {
    let value = parameter.value.as_deref()?;
    (8..=MAX_WINDOW_BITS).find(|bits| bits.to_string() == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    fn response(lines: &[&str]) -> Option<String> {
        negotiate(lines.iter().map(|line| line.as_bytes())).unwrap().map(|negotiated| negotiated.to_string())
    }

    #[test]
    fn negotiation_accepts_valid_offers() {
        for line in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=8",
            "permessage-deflate; client_max_window_bits=\"15\"; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate",
        ] {
            assert_eq!(response(&[line]).as_deref(), Some(RESPONSE), "{line}");
        }
    }

    #[test]
    fn negotiation_repeats_the_offered_server_window() {
        for bits in 9..=15 {
            let line = format!("permessage-deflate; server_max_window_bits={bits}");
            assert_eq!(response(&[&line]), Some(format!("{RESPONSE}; server_max_window_bits={bits}")));
            let negotiated = negotiate([line.as_bytes()]).unwrap().unwrap();
            assert_eq!(negotiated.server_max_window_bits(), bits);
        }
        assert_eq!(negotiate([NAME.as_bytes()]).unwrap().unwrap().server_max_window_bits(), 15);
    }

    #[test]
    fn negotiation_declines_invalid_offers() {
        for parameters in [
            "server_max_window_bits",
            "server_max_window_bits=8",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=09",
            "server_max_window_bits=+9",
            "server_max_window_bits=a",
            "server_max_window_bits=99999999999999999999",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_no_context_takeover; server_no_context_takeover",
            "client_max_window_bits; client_max_window_bits=10",
            "mystery",
            "mystery=1",
        ] {
            assert_eq!(response(&[&format!("permessage-deflate; {parameters}")]), None, "{parameters}");
        }
        assert_eq!(response(&["Permessage-Deflate-2"]), None);
        assert_eq!(response(&[""]), None);
        assert_eq!(response(&[]), None);
    }

    #[test]
    fn negotiation_accepts_the_first_valid_offer_across_lines() {
        let second = "foo, permessage-deflate; server_max_window_bits=10, permessage-deflate";
        let lines = ["permessage-deflate; server_max_window_bits=8", second];
        assert_eq!(response(&lines), Some(format!("{RESPONSE}; server_max_window_bits=10")));
    }

    #[test]
    fn negotiation_fails_on_a_malformed_line_after_a_valid_one() {
        assert_eq!(negotiate([NAME.as_bytes(), b"a;;"]), Err(MalformedHeader));
    }
}
