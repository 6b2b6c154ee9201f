//! The client that trusted proxies name in `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! A proxy appends the address of its client to what it has received, so that only the end of a field comes
//! from trusted proxies. The client is the last address that is not that of a trusted proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::headers::Headers;
use crate::protocol::token::is_token_byte;

/// The name of the field of RFC 7239.
const FORWARDED: &str = "Forwarded";

/// The name of the field that is older than RFC 7239, a list of addresses.
const X_FORWARDED_FOR: &str = "X-Forwarded-For";

/// An address, with its port if that is given.
type Node = (IpAddr, Option<u16>);

/// What the fields of a request say about its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForwardedClient {
    /// No field, or no address at its end.
    Unnamed,
    Named {
        ip: IpAddr,
        port: Option<u16>,
        /// The name of the field.
        field: &'static str,
    },
    /// Both fields are there and name different addresses. Proxies write one of them, and the other one may
    /// be from the client: neither can be used.
    Conflicting,
}

/// Returns the client of a request that came from a trusted proxy. `is_trusted` is true for the addresses of
/// such proxies. If all addresses are trusted, it is the first one.
pub(crate) fn forwarded_client(headers: &Headers, is_trusted: impl Fn(IpAddr) -> bool) -> ForwardedClient {
    let forwarded: Vec<_> = headers.values(FORWARDED).flat_map(for_parameters).collect();
    let plain: Vec<_> = headers.list_items(X_FORWARDED_FOR).map(parse_node).collect();
    let first_untrusted = |nodes: &[Option<Node>]| client_of(nodes, &is_trusted);
    let named = |(ip, port), field| ForwardedClient::Named { ip, port, field };
    match (forwarded.is_empty(), plain.is_empty()) {
        (true, true) => ForwardedClient::Unnamed,
        (false, true) => {
            first_untrusted(&forwarded).map_or(ForwardedClient::Unnamed, |node| named(node, FORWARDED))
        }
        (true, false) => {
            first_untrusted(&plain).map_or(ForwardedClient::Unnamed, |node| named(node, X_FORWARDED_FOR))
        }
        (false, false) => match (first_untrusted(&forwarded), first_untrusted(&plain)) {
            (Some(node), Some((ip, _))) if node.0 == ip => named(node, FORWARDED),
            (None, None) => ForwardedClient::Unnamed,
            _ => ForwardedClient::Conflicting,
        },
    }
}

/// Returns the last address that is not trusted. `None` stands for what is no address, behind which nothing
/// is known: the client is then the address to the right of it.
fn client_of(nodes: &[Option<Node>], is_trusted: impl Fn(IpAddr) -> bool) -> Option<Node> {
    let mut client = None;
    for node in nodes.iter().rev() {
        let Some(node) = node else { break };
        client = Some(*node);
        if !is_trusted(node.0) {
            break;
        }
    }
    client
}

/// Returns the address in the `for` parameter of each element of a `Forwarded` field, `None` for an element
/// without one. A field that is malformed is one element without an address: a quote that a client has not
/// closed would hide the elements behind it.
fn for_parameters(field: &str) -> Vec<Option<Node>> {
    let mut nodes = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        let Some((element, behind)) = parse_element(rest) else { return vec![None] };
        if !element.is_empty {
            nodes.push(element.client.as_deref().and_then(parse_node));
        }
        rest = behind;
    }
    nodes
}

/// An element of a `Forwarded` field.
struct Element {
    /// An empty element counts for none (RFC 9110, 5.6.1).
    is_empty: bool,
    /// The value of its `for` parameter.
    client: Option<String>,
}

/// Parses an element up to its comma (RFC 7239, 4). Returns it and the rest of the field, or `None` if it is
/// malformed.
fn parse_element(text: &str) -> Option<(Element, &str)> {
    let mut element = Element { is_empty: true, client: None };
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if !rest.is_empty() && !rest.starts_with([',', ';']) {
            let (name, behind) = rest.split_once('=')?;
            let (value, behind) = parse_value(behind)?;
            element.is_empty = false;
            if name.eq_ignore_ascii_case("for") && element.client.replace(value).is_some() {
                return None;
            }
            if name.is_empty() || !name.bytes().all(is_token_byte) {
                return None;
            }
            rest = behind.trim_start();
        }
        match rest.chars().next() {
            Some(';') => rest = &rest[1..],
            Some(',') => return Some((element, &rest[1..])),
            None => return Some((element, "")),
            Some(_) => return None,
        }
    }
}

/// Parses the value of a parameter: a quoted string (RFC 9110, 5.6.4), or a token. Many proxies do not quote
/// colons and brackets. Returns the value and the text behind it.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let is_part = |c: char| u8::try_from(c).is_ok_and(is_token_byte) || "[]:".contains(c);
        let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

/// Parses a node (RFC 7239, 6): an address with or without a port. Returns `None` for `unknown`, for an
/// obfuscated identifier, and for what is no address. An IPv6 address without a port needs no brackets.
fn parse_node(text: &str) -> Option<Node> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (ip, behind) = bracketed.split_once(']')?;
        let ip = ip.parse::<Ipv6Addr>().ok()?.to_canonical();
        return if behind.is_empty() { Some((ip, None)) } else { with_port(ip, behind.strip_prefix(':')?) };
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((ip.to_canonical(), None));
    }
    let (ip, port) = text.split_once(':')?;
    with_port(ip.parse::<Ipv4Addr>().ok()?.into(), port)
}

/// Adds a port to an address. An obfuscated port is none.
fn with_port(ip: IpAddr, port: &str) -> Option<Node> {
    if port.starts_with('_') {
        return Some((ip, None));
    }
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    Some((ip, Some(port.parse().ok().filter(|_| is_number)?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Addresses of 10.0.0.0/8 and `fd00::/8` are those of proxies.
    fn is_trusted(ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => ip.octets()[0] == 10,
            IpAddr::V6(ip) => ip.octets()[0] == 0xfd,
        }
    }

    fn client(fields: &[(&str, &str)]) -> ForwardedClient {
        let headers = Headers::new(fields.iter().map(|(name, value)| (*name, value.as_bytes())));
        forwarded_client(&headers, is_trusted)
    }

    /// Returns the address and the port that a field names, as text.
    fn named(name: &str, value: &str) -> String {
        match client(&[(name, value)]) {
            ForwardedClient::Named { ip, port: Some(port), .. } => format!("{ip} {port}"),
            ForwardedClient::Named { ip, .. } => ip.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn forwarded_client_is_the_last_address_that_is_not_trusted() {
        for (value, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, 10.0.0.1,10.0.0.2", "192.0.2.1"),
            ("203.0.113.9, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
            ("10.0.0.9, 10.0.0.1", "10.0.0.9"),
            ("192.0.2.1:5000", "192.0.2.1 5000"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:5000, fd00::1", "2001:db8::1 5000"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, unknown, 10.0.0.1", "10.0.0.1"),
            ("192.0.2.1, unknown", "Unnamed"),
            ("192.0.2.1, ,", "192.0.2.1"),
            ("192.0.2.1:+5", "Unnamed"),
            ("192.0.2.1:65536", "Unnamed"),
            ("[2001:db8::1", "Unnamed"),
            ("[192.0.2.1]", "Unnamed"),
            ("fe80::1%eth0", "Unnamed"),
            ("localhost", "Unnamed"),
            ("", "Unnamed"),
        ] {
            assert_eq!(named("x-forwarded-for", value), expected, "{value}");
        }
    }

    #[test]
    fn forwarded_client_is_read_from_the_field_of_the_rfc() {
        for (value, expected) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17 4711"),
            ("for=192.0.2.1;proto=http;by=203.0.113.43", "192.0.2.1"),
            ("proto=http; for=192.0.2.1 , by=10.0.0.1;for=10.0.0.2;", "192.0.2.1"),
            ("for=192.0.2.1, for=\"_hidden\", for=10.0.0.1", "10.0.0.1"),
            ("for=192.0.2.1, proto=https", "Unnamed"),
            ("for=unknown", "Unnamed"),
            ("for=\"192.0.2.1:_port\"", "192.0.2.1"),
            ("for=192.0.2.1:80", "192.0.2.1 80"),
            ("for=\"192.0.2.\\1\"", "192.0.2.1"),
            (",, for=192.0.2.1 ,", "192.0.2.1"),
            // Malformed: a quote that is not closed, a parameter twice, text behind a value.
            ("for=\"x, for=192.0.2.1", "Unnamed"),
            ("for=192.0.2.1;for=192.0.2.2", "Unnamed"),
            ("for=192.0.2.1 x", "Unnamed"),
            ("for=", "Unnamed"),
            ("=192.0.2.1", "Unnamed"),
            ("192.0.2.1", "Unnamed"),
        ] {
            assert_eq!(named("forwarded", value), expected, "{value}");
        }
    }

    #[test]
    fn forwarded_client_is_at_the_end_of_several_field_lines() {
        let name = |ip: &str, port, field| ForwardedClient::Named { ip: ip.parse().unwrap(), port, field };
        let lines =
            [("X-Forwarded-For", "192.0.2.9"), ("A", "b"), ("X-Forwarded-For", "192.0.2.1, 10.0.0.1")];
        assert_eq!(client(&lines), name("192.0.2.1", None, X_FORWARDED_FOR));
        let lines = [("Forwarded", "for=\"broken"), ("Forwarded", "for=10.0.0.1"), ("Forwarded", "")];
        assert_eq!(client(&lines), name("10.0.0.1", None, FORWARDED));
    }

    #[test]
    fn forwarded_client_of_two_fields_has_to_be_the_same() {
        let both = |forwarded, plain| client(&[("Forwarded", forwarded), ("X-Forwarded-For", plain)]);
        let ip = "192.0.2.1".parse().unwrap();
        let named = ForwardedClient::Named { ip, port: Some(80), field: FORWARDED };
        assert_eq!(both("for=\"192.0.2.1:80\"", "192.0.2.1"), named);
        assert_eq!(both("for=192.0.2.2", "192.0.2.1"), ForwardedClient::Conflicting);
        assert_eq!(both("for=unknown", "192.0.2.1"), ForwardedClient::Conflicting);
        assert_eq!(both("for=unknown", "unknown"), ForwardedClient::Unnamed);
    }

    proptest! {
        #[test]
        fn forwarded_client_of_any_text_is_found_or_not(
            name in prop_oneof![Just("Forwarded"), Just("X-Forwarded-For")],
            values in prop::collection::vec("[ -~\\PC]{0,30}|([a-z=\",;:_ \\\\\\[\\]0-9.]{0,40})", 0..4)
        ) {
            client(&values.iter().map(|value| (name, value.as_str())).collect::<Vec<_>>());
        }

        #[test]
        fn forwarded_client_that_a_proxy_appends_is_not_replaced_by_the_client(
            text in "[ -~]{0,30}|(for=)?[\"]?[a-z=\",;\\\\0-9.]{0,30}", bracketed in any::<bool>()
        ) {
            prop_assert_eq!(named("X-Forwarded-For", &format!("{text}, 192.0.2.9")), "192.0.2.9");
            let (appended, expected) = if bracketed {
                ("for=\"[2001:db8::9]:80\"", "2001:db8::9 80")
            } else {
                ("for=192.0.2.9;proto=http;host=\"a,b\"", "192.0.2.9")
            };
            let seen = named("Forwarded", &format!("{text}, {appended}"));
            prop_assert!(seen == expected || seen == "Unnamed", "{} of {}", seen, text);
        }
    }
}
