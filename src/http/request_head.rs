//! The request head, read within bounds.

use std::io::Read;

use super::headers::Headers;

/// Longest request head that is read, in bytes, with its closing empty line.
pub(crate) const HEAD_LIMIT: usize = 16 << 10;

/// Bytes of a head that are read at a time: a usual one takes one read. glibc keeps what is freed of up to 1032 bytes
/// for the thread that freed it; a little more, and ten thousand workers share it.
const HEAD_READ: usize = 1280;

/// Most header fields that a request may have.
pub(crate) const HEADER_LIMIT: usize = 100;

/// Fields that a small table has place for. Ten thousand workers remember the largest table they ever made room
/// for, on their stack or in a gap of the heap, so the large one is made only for those who need it.
const USUAL_HEADERS: usize = 24;

/// A request head (RFC 9112, 2 to 5).
#[derive(Debug)]
pub(crate) struct RequestHead {
    /// The method, as sent.
    pub(crate) method: String,
    /// The path of the target, without the query.
    pub(crate) path: String,
    /// What follows the `?` of the target; empty without one.
    pub(crate) query: String,
    /// The minor version of HTTP/1.
    pub(crate) minor: u8,
    /// The header fields.
    pub(crate) headers: Headers,
}

/// Why there is no request head.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The peer ended the connection, or it was cut, before a head was complete.
    SessionEnd,
    /// It is too long, or has too many fields.
    TooLarge,
    /// It is no HTTP/1 request head; the sentence says why.
    Malformed(String),
}

impl RequestHead {
    /// Reads up to the empty line. Returns the head, and the bytes that came behind it.
    pub(crate) fn read(transport: &mut impl Read) -> Result<(Self, Vec<u8>), HeadError> {
        let mut bytes = Vec::with_capacity(HEAD_READ);
        loop {
            let from = bytes.len();
            bytes.resize((from + HEAD_READ).min(HEAD_LIMIT), 0);
            if from == bytes.len() {
                return Err(HeadError::TooLarge);
            }
            let n = match transport.read(&mut bytes[from..]) {
                Ok(0) | Err(_) => return Err(HeadError::SessionEnd),
                Ok(n) => n,
            };
            bytes.truncate(from + n);
            // A head ends with a line feed: without a new one there is nothing to find, however slowly it comes.
            if bytes[from..].contains(&b'\n')
                && let Some((head, length)) = Self::parse(&bytes)?
            {
                return Ok((head, bytes.split_off(length)));
            }
        }
    }

    /// Parses a head and says how long it is; `None` while it is not complete. Not inlined, for the sake of the stack.
    #[inline(never)]
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        match Self::parse_within(&mut [httparse::EMPTY_HEADER; USUAL_HEADERS], bytes) {
            Err(HeadError::TooLarge) => {
                Self::parse_within(&mut vec![httparse::EMPTY_HEADER; HEADER_LIMIT], bytes)
            }
            parsed => parsed,
        }
    }

    /// Parses a head that has no more fields than the table has places.
    fn parse_within<'a>(
        fields: &mut [httparse::Header<'a>],
        bytes: &'a [u8],
    ) -> Result<Option<(Self, usize)>, HeadError> {
        let mut request = httparse::Request::new(fields);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
            Err(error) => return Err(HeadError::Malformed(format!("this is no HTTP/1.1 request: {error}"))),
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

/// The path and the query of a request target, in origin form or in the absolute form that proxies send
/// (RFC 9112, 3.2).
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
    fn a_target_has_a_path_and_a_query() {
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
    fn a_head_is_incomplete_until_its_empty_line() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..text.len() {
            assert!(matches!(RequestHead::parse(&text[..end]), Ok(None)), "complete after {end} bytes");
        }
        assert!(matches!(RequestHead::parse(text), Ok(Some((_, length))) if length == text.len()));
    }
}
