//! The server side of the opening handshake (RFC 6455, 4.2).
//!
//! tungstenite's own `accept` closes the connection without a response when the request is invalid. This
//! module validates the request instead, and returns a response for each error.

use tungstenite::handshake::derive_accept_key;

use super::origin::{check_host, check_origin};
use super::request_head::RequestHead;
use super::response::{Response, SERVED_BY, push_field};
use crate::config::{ANY_SUBPROTOCOL, Config};
use crate::protocol::negotiation::{MalformedHeader, Negotiated, negotiate};
use crate::protocol::token::is_token_byte;

/// The supported `Sec-WebSocket-Version` (RFC 6455, 4.2.1).
const VERSION: &str = "13";

/// The result of a valid upgrade request.
#[derive(Debug)]
pub(crate) struct AcceptedUpgrade {
    /// The bytes of the 101 response.
    pub(crate) response: Vec<u8>,
    /// The negotiated subprotocol.
    pub(crate) subprotocol: Option<String>,
    /// The negotiated compression.
    pub(crate) deflate: Option<Negotiated>,
}

/// Returns whether the request is meant as a WebSocket upgrade, valid or not: it has `Upgrade: websocket` or
/// any `Sec-WebSocket-` field.
pub(crate) fn is_upgrade_request(head: &RequestHead) -> bool {
    head.headers.contains_token("Upgrade", "websocket")
        || head.headers.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("sec-websocket-"))
}

impl AcceptedUpgrade {
    /// Validates an upgrade request (RFC 6455, 4.2.1) and negotiates subprotocol and compression.
    ///
    /// # Errors
    /// Returns the 400, 403, 405 or 426 response for the first error in the request.
    pub(crate) fn validate(head: &RequestHead, config: &Config) -> Result<Self, Response> {
        if head.method != "GET" {
            return Err(Response::text(405, "a WebSocket handshake must use the method GET")
                .with("Allow", "GET, HEAD"));
        }
        // An upgrade in an HTTP/1.0 request must be ignored (RFC 9110, 7.8).
        if head.minor == 0 {
            let sentence =
                "a WebSocket handshake needs HTTP/1.1; nginx sends it with `proxy_http_version 1.1`";
            return Err(Response::text(426, sentence).with("Upgrade", "websocket"));
        }
        if head.headers.get_single("Host").is_none() {
            return Err(bad_request("the request needs one Host header"));
        }
        check_host(head, &config.allow_host)?;
        if !head.headers.contains_token("Upgrade", "websocket") {
            return Err(bad_request("the header `Upgrade: websocket` is missing"));
        }
        if !head.headers.contains_token("Connection", "Upgrade") {
            return Err(bad_request("the header `Connection: Upgrade` is missing"));
        }
        if head.headers.values("Transfer-Encoding").next().is_some()
            || head.headers.values("Content-Length").any(|length| length != "0")
        {
            return Err(bad_request("a WebSocket handshake must have no body"));
        }
        check_version(head)?;
        let key = check_key(head)?;
        check_origin(head, &config.allow_origin)?;
        let subprotocol = choose_subprotocol(head, &config.subprotocols);
        let deflate = if config.deflate.is_some() { negotiate_deflate(head)? } else { None };
        let extensions = deflate.map(|negotiated| negotiated.to_string());
        let response = switching_protocols(key, subprotocol.as_deref(), extensions.as_deref(), &config.name);
        Ok(Self { response, subprotocol, deflate })
    }
}

/// Returns the bytes of the 101 response (RFC 6455, 4.2.2). `Sec-WebSocket-Accept` is the base64 form of the
/// SHA-1 hash of `key` and a fixed GUID. `served_by` is the name of this instance.
fn switching_protocols(
    key: &str,
    subprotocol: Option<&str>,
    extensions: Option<&str>,
    served_by: &str,
) -> Vec<u8> {
    let accept_key = derive_accept_key(key.as_bytes());
    let fields = [
        ("Connection", Some("Upgrade")),
        ("Upgrade", Some("websocket")),
        ("Sec-WebSocket-Accept", Some(&*accept_key)),
        ("Sec-WebSocket-Protocol", subprotocol),
        ("Sec-WebSocket-Extensions", extensions),
        (SERVED_BY, Some(served_by)),
    ];
    let mut head = String::with_capacity(256);
    head.push_str("HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in fields {
        if let Some(value) = value {
            push_field(&mut head, name, value);
        }
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Returns a 400 response with `message`.
fn bad_request(message: &str) -> Response {
    Response::text(400, message)
}

/// Checks that the version is 13. The 426 response for another version lists the supported one (RFC 6455,
/// 4.4).
fn check_version(head: &RequestHead) -> Result<(), Response> {
    match head.headers.get_single("Sec-WebSocket-Version") {
        Some(VERSION) => Ok(()),
        Some(_) => Err(Response::text(
            426,
            "unsupported WebSocket version; this server supports version 13 (RFC 6455)",
        )
        .with("Sec-WebSocket-Version", VERSION)
        .with("Upgrade", "websocket")),
        None if head.headers.values("Sec-WebSocket-Key1").next().is_some() => Err(bad_request(
            "Sec-WebSocket-Key1 belongs to an old draft; this server supports version 13 (RFC 6455)",
        )),
        None => Err(bad_request("the request needs one Sec-WebSocket-Version header with the value 13")),
    }
}

/// Returns the key if it is the base64 form of 16 bytes (RFC 6455, 4.2.1, item 5): 22 symbols and `==`. The
/// last symbol may have any of the bits that the padding leaves unused, as in the example of section 4.1.
fn check_key(head: &RequestHead) -> Result<&str, Response> {
    let key = head
        .headers
        .get_single("Sec-WebSocket-Key")
        .ok_or_else(|| bad_request("the request needs one Sec-WebSocket-Key header"))?;
    let is_symbol = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match key.strip_suffix("==") {
        Some(symbols) if symbols.len() == 22 && symbols.bytes().all(is_symbol) => Ok(key),
        _ => Err(bad_request("the Sec-WebSocket-Key must be 16 bytes in base64")),
    }
}

/// Returns the first acceptable offer of permessage-deflate (RFC 7692, 5), or `None` if there is none.
fn negotiate_deflate(head: &RequestHead) -> Result<Option<Negotiated>, Response> {
    negotiate(head.headers.values("Sec-WebSocket-Extensions").map(str::as_bytes)).map_err(|MalformedHeader| {
        bad_request("the Sec-WebSocket-Extensions header is malformed (RFC 6455, 9.1)")
    })
}

/// Returns the first of the `supported` subprotocols that the client offers (RFC 6455, 4.2.2). Names are
/// case-sensitive. [`ANY_SUBPROTOCOL`] stands for the client's first offer that is a token.
fn choose_subprotocol(head: &RequestHead, supported: &[String]) -> Option<String> {
    let chosen = supported.iter().find_map(|name| {
        head.headers.list_items("Sec-WebSocket-Protocol").find(|offered| match name.as_str() {
            ANY_SUBPROTOCOL => offered.bytes().all(is_token_byte),
            name => *offered == name,
        })
    });
    chosen.map(str::to_owned)
}
