//! The opening handshake (RFC 6455, 4.2): is this request an upgrade, and may it have one?
//!
//! tungstenite's whole `accept` closes without a word on a request that it does not like. So the request is judged
//! here, each fault with its own answer, and the part of tungstenite that proves the 101 sees only good ones.

use tungstenite::handshake::derive_accept_key;

use super::request_head::RequestHead;
use super::response::{Response, push_field};
use crate::config::Config;
use crate::protocol::negotiation::{MalformedHeader, Negotiated, negotiate};

/// The version of the protocol that is spoken here (RFC 6455, 4.2.1).
const VERSION: &str = "13";

/// What an upgrade was granted.
#[derive(Debug)]
pub(crate) struct AcceptedUpgrade {
    /// The 101 answer, as it goes over the wire.
    pub(crate) response: Vec<u8>,
    /// The subprotocol that was agreed on.
    pub(crate) subprotocol: Option<String>,
    /// The compression that was agreed on.
    pub(crate) deflate: Option<Negotiated>,
}

/// Whether a request speaks of WebSockets at all, rightly or wrongly. HTTP/1.0 knows no upgrade, and what looks like
/// one has to be ignored (RFC 9110, 7.8).
pub(crate) fn is_upgrade_request(head: &RequestHead) -> bool {
    let named = head.headers.contains_token("Upgrade", "websocket")
        || head.headers.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("sec-websocket-"));
    named && head.minor > 0
}

impl AcceptedUpgrade {
    /// Judges an upgrade request: what it is granted, or the answer that says what is wrong with it.
    pub(crate) fn validate(head: &RequestHead, config: &Config) -> Result<Self, Response> {
        if head.method != "GET" {
            return Err(
                Response::text(405, "a WebSocket handshake is a GET request").with("Allow", "GET, HEAD")
            );
        }
        if head.headers.get_single("Host").is_none() {
            return Err(bad("the request needs one Host header"));
        }
        if !head.headers.contains_token("Upgrade", "websocket") {
            return Err(bad("the header `Upgrade: websocket` is missing"));
        }
        if !head.headers.contains_token("Connection", "Upgrade") {
            return Err(bad("the header `Connection: Upgrade` is missing"));
        }
        if head.headers.values("Transfer-Encoding").next().is_some()
            || head.headers.values("Content-Length").any(|length| length != "0")
        {
            return Err(bad("a WebSocket handshake has no body"));
        }
        check_version(head)?;
        let key = check_key(head)?;
        check_origin(head, &config.allow_origin)?;
        let subprotocol = choose_subprotocol(head, &config.subprotocols);
        let deflate = if config.deflate.is_some() { negotiate_deflate(head)? } else { None };
        let extensions = deflate.map(|negotiated| negotiated.to_string());
        let response = accept(key, subprotocol.as_deref(), extensions.as_deref());
        Ok(Self { response, subprotocol, deflate })
    }
}

/// The answer to a handshake with that key, with what was agreed on (RFC 6455, 4.2.2). The accept key is the key and
/// a fixed identifier, hashed with SHA-1, in base64: only who speaks WebSocket can have made it.
fn accept(key: &str, subprotocol: Option<&str>, extensions: Option<&str>) -> Vec<u8> {
    let proof = derive_accept_key(key.as_bytes());
    let fields = [
        ("Connection", Some("Upgrade")),
        ("Upgrade", Some("websocket")),
        ("Sec-WebSocket-Accept", Some(&*proof)),
        ("Sec-WebSocket-Protocol", subprotocol),
        ("Sec-WebSocket-Extensions", extensions),
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

/// 400 with a sentence.
fn bad(sentence: &str) -> Response {
    Response::text(400, sentence)
}

/// The version has to be 13; for another one the answer says so (RFC 6455, 4.4).
fn check_version(head: &RequestHead) -> Result<(), Response> {
    match head.headers.get_single("Sec-WebSocket-Version") {
        Some(VERSION) => Ok(()),
        Some(_) => {
            Err(Response::text(426, "this server speaks version 13 of the WebSocket protocol (RFC 6455)")
                .with("Sec-WebSocket-Version", VERSION)
                .with("Upgrade", "websocket"))
        }
        None if head.headers.values("Sec-WebSocket-Key1").next().is_some() => {
            Err(bad("this is an old draft of WebSockets (Sec-WebSocket-Key1); this server speaks RFC 6455"))
        }
        None => Err(bad("the request needs one Sec-WebSocket-Version header, with the value 13")),
    }
}

/// The key has to be the base64 form of 16 bytes (RFC 6455, 4.2.1, item 5).
fn check_key(head: &RequestHead) -> Result<&str, Response> {
    let key = head
        .headers
        .get_single("Sec-WebSocket-Key")
        .ok_or_else(|| bad("the request needs one Sec-WebSocket-Key header"))?;
    match data_encoding::BASE64.decode(key.as_bytes()) {
        Ok(bytes) if bytes.len() == 16 => Ok(key),
        _ => Err(bad("the Sec-WebSocket-Key has to be 16 bytes in base64")),
    }
}

/// A browser's origin has to be an allowed one, where only some are (RFC 6455, 10.2).
fn check_origin(head: &RequestHead, allowed: &[String]) -> Result<(), Response> {
    let refused = |origin: &str| !allowed.iter().any(|a| a.eq_ignore_ascii_case(origin));
    if !allowed.is_empty() && head.headers.values("Origin").any(refused) {
        return Err(Response::text(
            403,
            "this origin may not connect; the server's --allow-origin names those that may",
        ));
    }
    Ok(())
}

/// The first acceptable offer of permessage-deflate (RFC 7692, 5).
fn negotiate_deflate(head: &RequestHead) -> Result<Option<Negotiated>, Response> {
    negotiate(head.headers.values("Sec-WebSocket-Extensions").map(str::as_bytes))
        .map_err(|MalformedHeader| bad("the Sec-WebSocket-Extensions header is malformed (RFC 6455, 9.1)"))
}

/// The subprotocol that the server likes best among those offered (RFC 6455, 4.2.2; names are case-sensitive).
fn choose_subprotocol(head: &RequestHead, spoken: &[String]) -> Option<String> {
    spoken
        .iter()
        .find(|name| head.headers.list_items("Sec-WebSocket-Protocol").any(|offered| offered == **name))
        .cloned()
}
