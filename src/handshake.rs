//! The opening handshake (RFC 6455, 4.2): is this request an upgrade, and may it have one?
//!
//! tungstenite closes without a word on a request that it does not like. So the request is judged here first, each
//! fault with its own answer, and tungstenite then accepts a request that is known to be good.

use tungstenite::handshake::server::Response;
use tungstenite::http::HeaderValue;

use crate::config::Config;
use crate::http::{Answer, Head};

/// The version of the protocol that is spoken here (RFC 6455, 4.2.1).
const VERSION: &str = "13";

/// What an upgrade was granted.
#[derive(Debug, Default)]
pub(crate) struct Upgrade {
    /// The client's `Sec-WebSocket-Key`.
    key: String,
    /// The subprotocol that was agreed on.
    pub(crate) subprotocol: Option<String>,
}

/// Whether a request speaks of WebSockets at all, rightly or wrongly.
pub(crate) fn is_attempt(head: &Head) -> bool {
    head.lists("Upgrade", "websocket")
        || head.headers.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("sec-websocket-"))
}

impl Upgrade {
    /// Judges an upgrade request: what it is granted, or the answer that says what is wrong with it.
    pub(crate) fn judge(head: &Head, config: &Config) -> Result<Self, Answer> {
        if head.method != "GET" {
            return Err(
                Answer::text(405, "a WebSocket handshake is a GET request").with("Allow", "GET, HEAD")
            );
        }
        if head.minor < 1 {
            return Err(bad("a WebSocket handshake needs HTTP/1.1"));
        }
        if head.only("Host").is_none() {
            return Err(bad("the request needs one Host header"));
        }
        if !head.lists("Upgrade", "websocket") {
            return Err(bad("the header `Upgrade: websocket` is missing"));
        }
        if !head.lists("Connection", "Upgrade") {
            return Err(bad("the header `Connection: Upgrade` is missing"));
        }
        if head.values("Transfer-Encoding").next().is_some()
            || head.values("Content-Length").any(|length| length != "0")
        {
            return Err(bad("a WebSocket handshake has no body"));
        }
        check_version(head)?;
        let key = check_key(head)?.to_owned();
        check_origin(head, &config.allow_origin)?;
        Ok(Self { key, subprotocol: choose_subprotocol(head, &config.subprotocols) })
    }

    /// The request that tungstenite gets to see: the same handshake without anything that it does not need. Fields
    /// on several lines, odd characters in the target and a hundred cookies are legal, and none of its business.
    pub(crate) fn canonical_head(&self) -> Vec<u8> {
        format!(
            "GET / HTTP/1.1\r\nHost: -\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: {VERSION}\r\nSec-WebSocket-Key: {}\r\n\r\n",
            self.key
        )
        .into_bytes()
    }

    /// Adds to tungstenite's 101 what was agreed on.
    pub(crate) fn complete(&self, response: &mut Response) {
        if let Some(name) = &self.subprotocol
            && let Ok(value) = HeaderValue::from_str(name)
        {
            response.headers_mut().insert("Sec-WebSocket-Protocol", value);
        }
    }
}

/// 400 with a sentence.
fn bad(sentence: &str) -> Answer {
    Answer::text(400, sentence)
}

/// The version has to be 13; for another one the answer says so (RFC 6455, 4.4).
fn check_version(head: &Head) -> Result<(), Answer> {
    match head.only("Sec-WebSocket-Version") {
        Some(VERSION) => Ok(()),
        Some(_) => {
            Err(Answer::text(426, "this server speaks version 13 of the WebSocket protocol (RFC 6455)")
                .with("Sec-WebSocket-Version", VERSION)
                .with("Upgrade", "websocket"))
        }
        None if head.values("Sec-WebSocket-Key1").next().is_some() => {
            Err(bad("this is an old draft of WebSockets (Sec-WebSocket-Key1); this server speaks RFC 6455"))
        }
        None => Err(bad("the request needs one Sec-WebSocket-Version header, with the value 13")),
    }
}

/// The key has to be the base64 form of 16 bytes (RFC 6455, 4.2.1, item 5).
fn check_key(head: &Head) -> Result<&str, Answer> {
    let key = head
        .only("Sec-WebSocket-Key")
        .ok_or_else(|| bad("the request needs one Sec-WebSocket-Key header"))?;
    match data_encoding::BASE64.decode(key.as_bytes()) {
        Ok(bytes) if bytes.len() == 16 => Ok(key),
        _ => Err(bad("the Sec-WebSocket-Key has to be 16 bytes in base64")),
    }
}

/// A browser's origin has to be an allowed one, where only some are (RFC 6455, 10.2).
fn check_origin(head: &Head, allowed: &[String]) -> Result<(), Answer> {
    let refused = |origin: &str| !allowed.iter().any(|a| a.eq_ignore_ascii_case(origin));
    if !allowed.is_empty() && head.values("Origin").any(refused) {
        return Err(Answer::text(
            403,
            "this origin may not connect; the server's --allow-origin names those that may",
        ));
    }
    Ok(())
}

/// The subprotocol that the server likes best among those offered (RFC 6455, 4.2.2; names are case-sensitive).
fn choose_subprotocol(head: &Head, spoken: &[String]) -> Option<String> {
    spoken.iter().find(|name| head.items("Sec-WebSocket-Protocol").any(|offered| offered == **name)).cloned()
}
