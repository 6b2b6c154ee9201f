//! The URL of a run: its parts, checked and in the form in which they are sent.

use std::{
    fmt::{self, Write},
    net::Ipv6Addr,
};

/// Bytes of a path or query that are sent percent-encoded, besides controls, spaces and non-ASCII ones: a URI
/// cannot contain them (RFC 3986, section 2).
const ENCODED: &[u8] = b"\"<>\\^`{|}";

/// How the load is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// `ws://`
    WebSocket,
    /// `wss://`
    SecureWebSocket,
    /// `tcp://`
    RawTcp,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "ws",
            Self::SecureWebSocket => "wss",
            Self::RawTcp => "tcp",
        }
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Self::WebSocket => Some(80),
            Self::SecureWebSocket => Some(443),
            Self::RawTcp => None,
        }
    }
}

/// A checked URL. Its `Display` never contains the user and the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadUrl {
    pub(crate) scheme: Scheme,
    /// A lower-case name in ASCII, or an address; an IPv6 address without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Begins with a slash. Unused with `tcp://`.
    pub(crate) path_and_query: String,
    /// `user:password`, decoded.
    pub(crate) credentials: Option<Credentials>,
}

/// `user:password`. Its `Debug` does not contain them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials(Vec<u8>);

impl Credentials {
    /// Returns the value of an `Authorization` or `Proxy-Authorization` field (RFC 7617).
    pub(crate) fn to_basic(&self) -> String {
        format!("Basic {}", data_encoding::BASE64.encode(&self.0))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl LoadUrl {
    /// Checks a URL. The error is a sentence that repeats the URL without its credentials.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        Self::parse_parts(url)
            .map_err(|problem| format!("invalid URL \"{}\": {problem}", without_credentials(url)))
    }

    fn parse_parts(url: &str) -> Result<Self, String> {
        let scheme =
            [Scheme::WebSocket, Scheme::SecureWebSocket, Scheme::RawTcp].into_iter().find_map(|one| {
                let (name, rest) = url.split_once("://")?;
                name.eq_ignore_ascii_case(one.name()).then_some((one, rest))
            });
        let wanted = "it must start with ws:// or wss:// (or tcp:// with a port)";
        let (scheme, rest) = scheme.ok_or(wanted)?;
        if rest.contains('#') {
            return Err("a WebSocket URL has no fragment (RFC 6455, section 3): \
                        remove the part from # on, or write # as %23"
                .into());
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let authority = Authority::parse(authority)?;
        let port = authority.port.or(scheme.default_port()).ok_or(wanted)?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path_and_query = format!("{slash}{}", percent_encode(path));
        let Authority { host, credentials, .. } = authority;
        Ok(Self { scheme, host, port, path_and_query, credentials })
    }

    /// Returns where a `Location` leads to from this URL (RFC 9110, section 10.2.2), with `http` for `ws` and
    /// `https` for `wss`. The credentials stay on the same server.
    pub(crate) fn redirect(&self, location: &str) -> Result<Self, String> {
        let location = location.split('#').next().unwrap_or_default();
        let own = format!("{}://{}", self.scheme.name(), self.authority());
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        let target = if let Some((scheme, rest)) = location.split_once("://") {
            let scheme = match scheme.to_ascii_lowercase().as_str() {
                "http" => "ws".to_owned(),
                "https" => "wss".to_owned(),
                _ => scheme.to_owned(),
            };
            format!("{scheme}://{rest}")
        } else if location.starts_with("//") {
            format!("{}:{location}", self.scheme.name())
        } else if location.starts_with('/') {
            format!("{own}{location}")
        } else if location.starts_with('?') || location.is_empty() {
            format!("{own}{path}{location}")
        } else {
            format!("{own}{}/{location}", path.rsplit_once('/').map_or("", |(folder, _)| folder))
        };
        let mut target = Self::parse(&target)?;
        if self.scheme == Scheme::SecureWebSocket && target.scheme != Scheme::SecureWebSocket {
            return Err(format!("it leads from wss:// to {target}, without encryption"));
        }
        if target.has_origin_of(self) && target.credentials.is_none() {
            target.credentials.clone_from(&self.credentials);
        }
        Ok(target)
    }

    /// Returns whether both URLs have the same scheme, host and port.
    pub(crate) fn has_origin_of(&self, other: &Self) -> bool {
        (self.scheme, &self.host, self.port) == (other.scheme, &other.host, other.port)
    }

    /// Returns host and port as in a `Host` field: without the port if it is the default of the scheme.
    pub(crate) fn authority(&self) -> String {
        let host = bracketed(&self.host);
        if self.scheme.default_port() == Some(self.port) { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for LoadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.scheme == Scheme::RawTcp { "" } else { &self.path_and_query };
        write!(f, "{}://{}{path}", self.scheme.name(), self.authority())
    }
}

/// Host, port and credentials, as they stand between the scheme and the path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) credentials: Option<Credentials>,
}

impl Authority {
    /// Parses `user:password@host:port`. The error does not repeat the credentials.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (credentials, text) = match text.rsplit_once('@') {
            Some((credentials, host)) => (Some(Credentials(percent_decode(credentials))), host),
            None => (None, text),
        };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']').ok_or("the IPv6 address has no closing bracket")?;
            let address: Ipv6Addr =
                address.parse().map_err(|_| format!("\"{address}\" is not an IPv6 address"))?;
            let port = if port.is_empty() {
                None
            } else {
                Some(port.strip_prefix(':').ok_or("text follows the bracket")?)
            };
            (address.to_string(), port)
        } else {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            (ascii_host(host)?, port)
        };
        let port = port.filter(|port| !port.is_empty()).map(parse_port).transpose()?;
        Ok(Self { host, port, credentials })
    }
}

/// An HTTP proxy (`--proxy`).
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    credentials: Option<Credentials>,
}

impl Proxy {
    /// Parses `http://user:password@host:port`. The error does not repeat the credentials.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let invalid =
            |problem: String| format!("invalid --proxy \"{}\": {problem}", without_credentials(url));
        let authority = url.split_once("://").and_then(|(scheme, rest)| {
            scheme.eq_ignore_ascii_case("http").then(|| rest.strip_suffix('/').unwrap_or(rest))
        });
        let authority = authority.ok_or_else(|| invalid("it must start with http://".into()))?;
        let Authority { host, port, credentials } = Authority::parse(authority).map_err(invalid)?;
        Ok(Self { host, port: port.unwrap_or(80), credentials })
    }

    /// Returns the request for a tunnel to the server of `url`.
    pub(crate) fn connect_request(&self, url: &LoadUrl) -> String {
        let server = format!("{}:{}", bracketed(&url.host), url.port);
        let credentials = self
            .credentials
            .as_ref()
            .map(|credentials| format!("Proxy-Authorization: {}\r\n", credentials.to_basic()))
            .unwrap_or_default();
        format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n{credentials}\r\n")
    }
}

/// Parses a port of 1 to 65535.
pub(crate) fn parse_port(text: &str) -> Result<u16, String> {
    let port = if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    port.filter(|port| *port > 0).ok_or_else(|| "the port must be a number from 1 to 65535".into())
}

/// Returns a host name in ASCII and lower case (UTS 46).
fn ascii_host(host: &str) -> Result<String, String> {
    if host.is_empty() {
        return Err("it has no host".into());
    }
    idna::domain_to_ascii_cow(host.as_bytes(), idna::AsciiDenyList::URL)
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| format!("\"{host}\" is not a host name"))
}

/// Returns the host with brackets if it is an IPv6 address.
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Returns a URL without what stands before its last `@`. For messages about URLs that cannot be parsed.
fn without_credentials(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}://{}", url.get(..scheme).unwrap_or_default(), url.get(at + 1..).unwrap_or_default())
        }
        (None, Some(at)) => url.get(at + 1..).unwrap_or_default().to_owned(),
        _ => url.to_owned(),
    }
}

/// Returns a path and query with the braces of placeholders, which are percent-encoded like all others.
pub(crate) fn with_placeholders(path_and_query: &str) -> String {
    ["conn", "seq", "uuid", "token"].iter().fold(path_and_query.to_owned(), |path, name| {
        path.replace(&format!("%7B{name}%7D"), &format!("{{{name}}}"))
    })
}

/// Percent-encodes all but the unreserved characters (RFC 3986, section 2.3): for a value within a path or
/// query.
pub(crate) fn encode_component(text: &str) -> String {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let of = |byte: u8| {
        if is_unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(of).collect()
}

/// Percent-encodes what a path or query cannot contain. Leaves `%` as it is, because it may be encoded
/// already.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !ENCODED.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Decodes percent-encoded bytes. Leaves malformed ones as they are.
fn percent_decode(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    while let [first, rest @ ..] = bytes {
        let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
        let pair = digit(rest.first()).zip(digit(rest.get(1)));
        match pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(byte) if *first == b'%' => {
                decoded.push(byte);
                bytes = rest.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(*first);
                bytes = rest;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, String) {
        let parsed = LoadUrl::parse(url).expect(url);
        (parsed.authority(), parsed.path_and_query)
    }

    #[test]
    fn url_parts_are_in_the_form_in_which_they_are_sent() {
        for (url, authority, path) in [
            ("ws://host:1?t=1", "host:1", "/?t=1"),
            ("ws://host", "host", "/"),
            ("WS://HOST:80/A", "host", "/A"),
            ("wss://host:443/", "host", "/"),
            ("wss://host:80/", "host:80", "/"),
            ("ws://[::1]:8080/x?y=[z]", "[::1]:8080", "/x?y=[z]"),
            ("ws://h/stra\u{df}e/%41?q=\u{fc} b", "h", "/stra%C3%9Fe/%41?q=%C3%BC%20b"),
            ("ws://b\u{fc}cher.example:8/", "xn--bcher-kva.example:8", "/"),
            ("tcp://127.0.0.1:7", "127.0.0.1:7", "/"),
            ("ws://h:/x", "h", "/x"),
        ] {
            assert_eq!(parsed(url), (authority.to_owned(), path.to_owned()), "{url}");
        }
    }

    #[test]
    fn url_redirects_are_resolved_against_the_first_url() {
        let base = LoadUrl::parse("wss://u:p@host:1/a/b?c").unwrap();
        for (location, expected) in [
            ("https://Other/x#y", "wss://other/x"),
            ("wss://host:1", "wss://host:1/"),
            ("//other:2/x", "wss://other:2/x"),
            ("/x?y", "wss://host:1/x?y"),
            ("x", "wss://host:1/a/x"),
            ("?d", "wss://host:1/a/b?d"),
        ] {
            let target = base.redirect(location).expect(location);
            assert_eq!(target.to_string(), expected, "{location}");
            assert_eq!(target.credentials.is_some(), expected.contains("host:1"), "{location}");
        }
        for location in ["http://host:1/", "ftp://host/", "wss://host:99999/"] {
            assert!(base.redirect(location).is_err(), "{location}");
        }
    }

    #[test]
    fn url_credentials_are_decoded_and_not_displayed() {
        let url = LoadUrl::parse("ws://us%65r:p%40ss:w@host:1/x").unwrap();
        assert_eq!(
            url.credentials.as_ref().map(Credentials::to_basic).as_deref(),
            Some("Basic dXNlcjpwQHNzOnc=")
        );
        assert_eq!(url.to_string(), "ws://host:1/x");
        assert!(!format!("{url:?}").contains("ss:w"));
    }

    #[test]
    fn url_that_is_invalid_is_described_without_its_credentials() {
        for (url, words) in [
            ("http://h/", "must start with ws://"),
            ("h:1", "must start with ws://"),
            ("tcp://h", "with a port"),
            ("ws://u:secret@h/#x", "fragment"),
            ("ws://u:secret@h:99999/", "from 1 to 65535"),
            ("ws://u:secret@h:0/", "from 1 to 65535"),
            ("ws://u:sec/ret@h:+1/", "from 1 to 65535"),
            ("ws://u:secret@/", "no host"),
            ("ws://[::1/", "closing bracket"),
            ("ws://[::1]1/", "follows the bracket"),
            ("ws://a b/", "not a host name"),
        ] {
            let problem = LoadUrl::parse(url).expect_err(url);
            assert!(
                problem.contains(words) && !problem.contains("secret") && !problem.contains("ret@"),
                "{url}: {problem}"
            );
        }
    }
}
