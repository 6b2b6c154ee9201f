//! Plain HTTP responses.

use std::fmt::Write;
use std::time::SystemTime;

/// A plain HTTP answer, after which the connection ends.
#[derive(Debug)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// The media type of the body.
    content_type: &'static str,
    /// Fields beyond those that every answer has.
    headers: Vec<(&'static str, String)>,
    /// What the client reads.
    body: Vec<u8>,
}

impl Response {
    /// An answer that a person reads: a sentence, with its line end added.
    pub(crate) fn text(status: u16, sentence: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{sentence}\n").into_bytes())
    }

    /// An answer of any media type.
    pub(crate) fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status, content_type, headers: Vec::new(), body }
    }

    /// Adds a field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer's bytes; without the body for a HEAD request, which still tells its length (RFC 9110, 9.3.2).
    pub(crate) fn to_bytes(&self, head_only: bool) -> Vec<u8> {
        let Self { status, content_type, headers, body } = self;
        // A field that speaks of this connection alone has to be named in it (RFC 9110, 7.6.1 and 7.8).
        let upgrade = if headers.iter().any(|(name, _)| *name == "Upgrade") { "upgrade, " } else { "" };
        let mut text = format!(
            "HTTP/1.1 {status} {}\r\nDate: {}\r\nConnection: {upgrade}close\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n",
            reason(*status),
            httpdate::fmt_http_date(SystemTime::now()),
        );
        // Two statuses have no body, nor the fields that describe one (RFC 9110, 8.6, 15.3.5 and 15.4.5); one has an
        // empty one (15.3.6).
        let bodiless = matches!(status, 204 | 304);
        let body: &[u8] = if *status == 205 { b"" } else { body };
        if !bodiless {
            let _ = write!(text, "Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            push_field(&mut text, name, value);
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        if !head_only && !bodiless {
            bytes.extend_from_slice(body);
        }
        bytes
    }
}

/// Adds a field to an answer's head (RFC 9112, 5).
pub(crate) fn push_field(head: &mut String, name: &str, value: &str) {
    head.extend([name, ": ", value, "\r\n"]);
}

/// The reason phrase of a status code (RFC 9110, 15).
fn reason(status: u16) -> &'static str {
    tungstenite::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|s| s.canonical_reason())
        .unwrap_or("Unknown")
}
