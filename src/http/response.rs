//! Plain HTTP responses.

use std::fmt::Write;
use std::time::SystemTime;

/// Header field with the name of the instance that responds, as proxies and caches send it. It is not
/// registered.
pub(crate) const SERVED_BY: &str = "X-Served-By";

/// An HTTP response other than 101. The connection ends after it.
#[derive(Debug)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// The media type of the body.
    content_type: &'static str,
    /// Header fields in addition to those that every response has.
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    /// Creates a plain text response. Its body is `message` and a line feed.
    pub(crate) fn text(status: u16, message: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{message}\n").into_bytes())
    }

    /// Creates a response with a body of any media type.
    pub(crate) fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status, content_type, headers: Vec::new(), body }
    }

    /// Adds a header field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Returns the text of an error response behind a colon, for a log line; empty for other responses.
    pub(crate) fn sentence(&self) -> String {
        match std::str::from_utf8(&self.body) {
            Ok(text) if self.status >= 400 => format!(": {}", text.trim_end()),
            _ => String::new(),
        }
    }

    /// Serializes the response. `head_only` omits the body but keeps its `Content-Length`, for the method
    /// HEAD (RFC 9110, 9.3.2). `served_by` is the name of this instance.
    pub(crate) fn to_bytes(&self, head_only: bool, served_by: &str) -> Vec<u8> {
        let Self { status, content_type, headers, body } = self;
        // `Connection` must list the hop-by-hop field `Upgrade` (RFC 9110, 7.6.1 and 7.8).
        let upgrade = if headers.iter().any(|(name, _)| *name == "Upgrade") { "upgrade, " } else { "" };
        let mut text = format!(
            "HTTP/1.1 {status} {}\r\nDate: {}\r\nConnection: {upgrade}close\r\n\
             X-Content-Type-Options: nosniff\r\n",
            reason_phrase(*status),
            httpdate::fmt_http_date(SystemTime::now()),
        );
        push_field(&mut text, SERVED_BY, served_by);
        if !headers.iter().any(|(name, _)| *name == "Cache-Control") {
            text.push_str("Cache-Control: no-store\r\n");
        }
        // 204 and 304 have no body and no Content-Length (RFC 9110, 8.6, 15.3.5 and 15.4.5). 205 has an empty
        // body (15.3.6).
        let has_body = !matches!(status, 204 | 304);
        let body: &[u8] = if *status == 205 { b"" } else { body };
        if has_body {
            let _ = write!(text, "Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            push_field(&mut text, name, value);
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        if has_body && !head_only {
            bytes.extend_from_slice(body);
        }
        bytes
    }
}

/// Appends a header field line to a response head (RFC 9112, 5).
pub(crate) fn push_field(head: &mut String, name: &str, value: &str) {
    head.extend([name, ": ", value, "\r\n"]);
}

/// Returns the reason phrase of a status code (RFC 9110, 15), or "Unknown".
fn reason_phrase(status: u16) -> &'static str {
    tungstenite::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|code| code.canonical_reason())
        .unwrap_or("Unknown")
}
