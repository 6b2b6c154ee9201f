//! Reads and parses a request head of bounded size.

use std::io::{ErrorKind, Read};

use super::headers::Headers;

/// Maximum length of a request head, in bytes, including the empty line at its end.
pub(crate) const HEAD_LIMIT: usize = 16 << 10;

/// Bytes per read of a request head. A typical head takes one read. Larger than the 1032 bytes that glibc
/// caches per thread when they are freed; see scripts/TUNING.md.
const HEAD_READ: usize = 1280;

/// Maximum number of header fields in a request.
pub(crate) const HEADER_LIMIT: usize = 100;

/// Header fields that fit the table on the stack. Requests with more fields use a table of [`HEADER_LIMIT`]
/// fields on the heap, so that worker stacks stay small; see scripts/TUNING.md.
const STACK_HEADERS: usize = 24;

/// A request head (RFC 9112, 2 to 5).
#[derive(Debug)]
pub(crate) struct RequestHead {
    /// The method, as sent.
    pub(crate) method: String,
    /// The path of the request target, without the query.
    pub(crate) path: String,
    /// The query of the request target, without the `?`. Empty if there is none.
    pub(crate) query: String,
    /// The minor HTTP version: 0 or 1.
    pub(crate) minor: u8,
    pub(crate) headers: Headers,
}

/// Why no request head was read.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The connection ended or was aborted before the head was complete.
    Disconnected,
    /// The head exceeds [`HEAD_LIMIT`] or [`HEADER_LIMIT`].
    TooLarge,
    /// The bytes are not a valid HTTP/1 request head. Contains the message for the client.
    Malformed(String),
}

/// Reads a request head in as many pieces as it comes.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    bytes: Vec<u8>,
}

impl HeadReader {
    /// Returns whether a header of the PROXY protocol has come instead.
    pub(crate) fn has_proxy_header(&self) -> bool {
        PROXY_SIGNATURES.iter().any(|signature| self.bytes.starts_with(signature))
    }

    /// Reads until the head is complete. Returns the head and the bytes received after it, or `None` if
    /// `transport` returns `WouldBlock` before.
    ///
    /// # Errors
    /// Returns [`HeadError`] if the connection ended, or if the head is too large or malformed.
    pub(crate) fn read(
        &mut self,
        transport: &mut impl Read,
    ) -> Result<Option<(RequestHead, Vec<u8>)>, HeadError> {
        loop {
            let start = self.bytes.len();
            if start == HEAD_LIMIT {
                return Err(HeadError::TooLarge);
            }
            self.bytes.resize((start + HEAD_READ).min(HEAD_LIMIT), 0);
            let outcome = transport.read(&mut self.bytes[start..]);
            self.bytes.truncate(start + outcome.as_ref().copied().unwrap_or(0));
            match outcome {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // The read has zeroed a whole step.
                    self.bytes.shrink_to_fit();
                    return Ok(None);
                }
                Ok(_) | Err(_) => return Err(HeadError::Disconnected),
            }
            if let Some(sentence) = other_protocol(&self.bytes) {
                return Err(HeadError::Malformed(sentence));
            }
            // A head ends with a line feed. Without a new one, the bytes need not be parsed again.
            if self.bytes[start..].contains(&b'\n')
                && let Some((head, length)) = RequestHead::parse(&self.bytes)?
            {
                return Ok(Some((head, self.bytes.split_off(length))));
            }
        }
    }
}

impl RequestHead {
    /// Parses a head. Returns it and its length in bytes, or `None` if it is incomplete.
    // Not inlined: the table must not stay in the stack frame of the session.
    #[inline(never)]
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        match Self::parse_within(&mut [httparse::EMPTY_HEADER; STACK_HEADERS], bytes) {
            Err(HeadError::TooLarge) => {
                Self::parse_within(&mut vec![httparse::EMPTY_HEADER; HEADER_LIMIT], bytes)
            }
            parsed => parsed,
        }
    }

    /// Parses a head with at most `fields.len()` header fields.
    fn parse_within<'a>(
        fields: &mut [httparse::Header<'a>],
        bytes: &'a [u8],
    ) -> Result<Option<(Self, usize)>, HeadError> {
        let mut request = httparse::Request::new(fields);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
            Err(error) => return Err(HeadError::Malformed(format!("not a valid HTTP/1.1 request: {error}"))),
        };
        let target = request.path.unwrap_or("/");
        let (path, query) = split_target(target);
        let headers = Headers::new(request.headers.iter().map(|field| (field.name, field.value)));
        let head = Self {
            method: request.method.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            minor: request.version.unwrap_or(1),
            headers,
        };
        Ok(Some((head, length)))
    }
}

/// Returns a sentence if a connection begins with one of the other protocols that are often sent by mistake.
fn other_protocol(bytes: &[u8]) -> Option<String> {
    let name = known_protocol(bytes)?;
    Some(format!("not an HTTP/1.1 request but {name}, which this port does not take"))
}

/// Returns the name of the protocol with which a connection begins, for a sentence, and whether it is TLS.
pub(crate) fn protocol_of(bytes: &[u8]) -> (&'static str, bool) {
    (known_protocol(bytes).unwrap_or("an HTTP request or another protocol"), bytes.starts_with(TLS_RECORD))
}

/// The first bytes of a TLS handshake: content type and major version of its record (RFC 8446, 5.1).
const TLS_RECORD: &[u8] = b"\x16\x03";

/// The first bytes of a header of the PROXY protocol, versions 1 and 2.
const PROXY_SIGNATURES: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];

fn known_protocol(bytes: &[u8]) -> Option<&'static str> {
    let [version_1, version_2] = PROXY_SIGNATURES;
    // TLS, HTTP/2 (RFC 9113, 3.4).
    let known = [
        (version_1, "a PROXY header (see --proxy-protocol)"),
        (version_2, "a PROXY header (see --proxy-protocol)"),
        (TLS_RECORD, "a TLS handshake, as for wss:// or https://"),
        (b"PRI * HTTP/2.0", "HTTP/2"),
    ];
    known.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, name)| *name)
}

/// Returns the path and the query of a request target in origin form or absolute form (RFC 9112, 3.2).
fn split_target(target: &str) -> (&str, &str) {
    let origin_form = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            rest.find(['/', '?']).map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    let without_fragment = origin_form.split('#').next().unwrap_or_default();
    let (path, query) = without_fragment.split_once('?').unwrap_or((without_fragment, ""));
    (if path.is_empty() { "/" } else { path }, query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_target_is_split_into_path_and_query() {
        for (target, path, query) in [
            ("/", "/", ""),
            ("/delay?ms=5&x", "/delay", "ms=5&x"),
            ("/?", "/", ""),
            ("?a", "/", "a"),
            ("http://host:80/echo?a=b", "/echo", "a=b"),
            ("ws://host", "/", ""),
            ("/redirect?to=http://host/", "/redirect", "to=http://host/"),
            ("/a#b?c", "/a", ""),
        ] {
            assert_eq!(split_target(target), (path, query), "{target}");
        }
    }

    #[test]
    fn request_head_is_incomplete_before_its_empty_line() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..text.len() {
            assert!(matches!(RequestHead::parse(&text[..end]), Ok(None)), "complete after {end} bytes");
        }
        assert!(matches!(RequestHead::parse(text), Ok(Some((_, length))) if length == text.len()));
    }
}
