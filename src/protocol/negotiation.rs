//! Which permessage-deflate offer is accepted, and how it is answered (RFC 7692, sections 5 and 7.1).

use std::fmt;

pub use super::offer::MalformedHeader;
use super::offer::{Offer, OfferParameter, parse};

const NAME: &str = "permessage-deflate";

/// The parameters agreed on for one connection.
///
/// Both sides always work without context takeover: a codec then holds nothing between two messages, and
/// belongs to whoever needs it instead of the connection (sections 7.1.1.1 and 7.1.1.2 let the server ask
/// for both unasked). Nothing is said about the client's window, since inflating takes any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The window the client asked the server to stay within, to be named in the answer.
    asked: Option<u8>,
}

impl Negotiated {
    /// The window to compress with: 9 to 15.
    #[must_use]
    pub fn server_max_window_bits(self) -> u8 {
        self.asked.unwrap_or(LARGEST_WINDOW)
    }
}

/// The value of the `Sec-WebSocket-Extensions` header of the response.
impl fmt::Display for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}; server_no_context_takeover; client_no_context_takeover")?;
        self.asked.map_or(Ok(()), |bits| write!(f, "; server_max_window_bits={bits}"))
    }
}

/// Chooses the first acceptable offer of all `Sec-WebSocket-Extensions` lines of a request, in order.
///
/// `None`: go on without compression. An error: the request is to be answered 400.
pub fn negotiate<'a>(
    lines: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<Negotiated>, MalformedHeader> {
    let mut chosen = None;
    // All lines are read even after a choice, so that the same header is never half right.
    for line in lines {
        for offer in parse(line)? {
            chosen = chosen.or_else(|| accept(&offer));
        }
    }
    Ok(chosen)
}

/// Section 7.1: declined with a parameter that is unknown, comes twice or has a value it cannot have.
fn accept(offer: &Offer<'_>) -> Option<Negotiated> {
    if offer.name != NAME {
        return None;
    }
    let mut asked = None;
    for (at, parameter) in offer.parameters.iter().enumerate() {
        if offer.parameters[..at].iter().any(|earlier| earlier.name == parameter.name) {
            return None;
        }
        match parameter.name {
            "server_no_context_takeover" | "client_no_context_takeover" => {
                if parameter.value.is_some() {
                    return None;
                }
            }
            // A hint that the server may limit the client's window: it need not.
            "client_max_window_bits" => {
                if parameter.value.is_some() {
                    window_bits(parameter)?;
                }
            }
            "server_max_window_bits" => {
                // zlib makes no raw stream with a window of 256 bytes.
                asked = Some(window_bits(parameter).filter(|bits| *bits >= SMALLEST_WINDOW)?);
            }
            _ => return None,
        }
    }
    Some(Negotiated { asked })
}

/// The smallest window the compressor can keep to.
const SMALLEST_WINDOW: u8 = 9;
const LARGEST_WINDOW: u8 = 15;

/// 8 to 15 without leading zeros (section 7.1.2).
fn window_bits(parameter: &OfferParameter<'_>) -> Option<u8> {
    let value = parameter.value.as_deref()?;
    (8..=LARGEST_WINDOW).find(|bits| bits.to_string() == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    fn answer(lines: &[&str]) -> Option<String> {
        negotiate(lines.iter().map(|line| line.as_bytes())).unwrap().map(|negotiated| negotiated.to_string())
    }

    #[test]
    fn acceptable_offers_are_answered() {
        for line in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=8",
            "permessage-deflate; client_max_window_bits=\"15\"; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate",
        ] {
            assert_eq!(answer(&[line]).as_deref(), Some(PLAIN), "{line}");
        }
    }

    #[test]
    fn the_server_window_is_answered_where_offered() {
        for bits in 9..=15 {
            let line = format!("permessage-deflate; server_max_window_bits={bits}");
            assert_eq!(answer(&[&line]), Some(format!("{PLAIN}; server_max_window_bits={bits}")));
            let negotiated = negotiate([line.as_bytes()]).unwrap().unwrap();
            assert_eq!(negotiated.server_max_window_bits(), bits);
        }
        assert_eq!(negotiate([NAME.as_bytes()]).unwrap().unwrap().server_max_window_bits(), 15);
    }

    #[test]
    fn other_offers_are_declined() {
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
            assert_eq!(answer(&[&format!("permessage-deflate; {parameters}")]), None, "{parameters}");
        }
        assert_eq!(answer(&["Permessage-Deflate-2"]), None);
        assert_eq!(answer(&[""]), None);
        assert_eq!(answer(&[]), None);
    }

    #[test]
    fn the_first_acceptable_offer_wins_across_lines() {
        let second = "foo, permessage-deflate; server_max_window_bits=10, permessage-deflate";
        let lines = ["permessage-deflate; server_max_window_bits=8", second];
        assert_eq!(answer(&lines), Some(format!("{PLAIN}; server_max_window_bits=10")));
    }

    #[test]
    fn a_malformed_line_after_a_good_one_fails_the_request() {
        assert_eq!(negotiate([NAME.as_bytes(), b"a;;"]), Err(MalformedHeader));
    }
}
