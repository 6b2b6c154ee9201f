//! Parsers of `--allow-origin` and `--allow-host`. Values that no browser sends are rejected: they would
//! never match.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::config::SAME_ORIGIN;

/// Default ports, which browsers leave out.
const DEFAULT_PORTS: [(&str, &str); 2] = [("https", "443"), ("http", "80")];

/// Parses an origin as browsers send it: scheme, host and port, or `null` (RFC 6454, section 7), or
/// `same-origin`. Returns it in lower case.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    if text == "null" || text == SAME_ORIGIN {
        return Ok(text);
    }
    let expected =
        "expected scheme://host, scheme://host:port, same-origin or null, for example https://example.com";
    if text == "*" {
        return Err("any origin is allowed without this option; leave it out".to_owned());
    }
    let (scheme, authority) = text.split_once("://").ok_or(expected)?;
    if scheme.is_empty() || authority.is_empty() {
        return Err(expected.to_owned());
    }
    if let "ws" | "wss" = scheme {
        return Err(format!(
            "browsers send the origin of the page: use {}://{authority}",
            scheme.replace("ws", "http")
        ));
    }
    let port = check_authority(authority).map_err(|reason| format!("{reason}; {expected}"))?;
    let host = port.map_or(authority, |port| &authority[..authority.len() - port.len() - 1]);
    if let Some(sent) = other_form_of_address(host)? {
        return Err(format!("browsers send this address as {sent}"));
    }
    if port.is_some_and(|port| DEFAULT_PORTS.contains(&(scheme, port))) {
        return Err(format!("browsers leave out the default port: use {scheme}://{host}"));
    }
    Ok(text)
}

/// Returns the form in which browsers send an address, if that is another one (URL Standard, 3.5). Fails for
/// numbers that are no address in four parts, which browsers convert to one.
fn other_form_of_address(host: &str) -> Result<Option<String>, &'static str> {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address = address.parse::<Ipv6Addr>().ok().filter(|address| address.to_ipv4_mapped().is_none());
        return Ok(address.map(|address| format!("[{address}]")).filter(|sent| sent != host));
    }
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err("browsers send an address in four parts, such as 127.0.0.1");
    }
    Ok(None)
}

/// Parses a host as the `Host` field has it: a name or an address, with or without a port. Returns it in
/// lower case.
pub(super) fn host(text: &str) -> Result<String, String> {
    let expected = "expected HOST or HOST:PORT, for example example.com, localhost:1234 or [::1]";
    if text.contains("://") {
        return Err(expected.to_owned());
    }
    check_authority(text).map_err(|reason| format!("{reason}; {expected}"))?;
    Ok(text.to_ascii_lowercase())
}

/// Checks a host with an optional port. Returns the port.
fn check_authority(authority: &str) -> Result<Option<&str>, &'static str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.contains('*') {
        return Err("wildcards are not supported; repeat the option for each host");
    }
    if !host.is_ascii() {
        return Err("browsers send such a host in ASCII, as xn--");
    }
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let valid = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        }
    };
    if !valid {
        return Err("not a host name or an address");
    }
    match port {
        // A leading zero would never match.
        Some(port) if port.starts_with('0') || port.parse::<u16>().is_err() => Err("not a port"),
        port => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_accepts_what_browsers_send() {
        for valid in [
            "https://example.com",
            "http://localhost:1234",
            "http://[::1]:8080",
            "chrome-extension://abcdefghijklmnop",
            "https://example.com:80",
            "http://127.0.0.1:8080",
            "http://1.example",
            "http://[::ffff:102:304]",
            "null",
            "same-origin",
        ] {
            assert_eq!(origin(valid), Ok(valid.to_owned()));
        }
        assert_eq!(origin("HTTPS://Example.com"), Ok("https://example.com".to_owned()));
    }

    #[test]
    fn origin_that_can_never_match_is_rejected_with_the_reason() {
        for (invalid, reason) in [
            ("example.com", "scheme://host"),
            ("https://example.com/", "not a"),
            ("https://example.com:443", "use https://example.com"),
            ("http://[::1]:80", "use http://[::1]"),
            ("https://*.example.com", "wildcards"),
            ("*", "leave it out"),
            ("wss://example.com", "use https://example.com"),
            ("ws://example.com:1234", "use http://example.com:1234"),
            ("https://user@example.com", "not a host"),
            ("https://bücher.example", "xn--"),
            ("https://example.com:", "not a port"),
            ("https://example.com:08443", "not a port"),
            ("https://example.com:99999", "not a port"),
            ("https://", "scheme://host"),
            ("http://[0:0:0:0:0:0:0:1]:8080", "as [::1]"),
            ("http://127.1", "four parts"),
            ("http://127.000.000.001:8080", "four parts"),
            ("http://0x7f000001", "four parts"),
        ] {
            let error = origin(invalid).expect_err(invalid);
            assert!(error.contains(reason), "{invalid}: {error}");
        }
    }

    #[test]
    fn host_is_a_name_or_an_address_with_or_without_a_port() {
        for valid in ["localhost", "example.com:8443", "127.0.0.1", "[::1]", "[::1]:80"] {
            assert_eq!(host(valid), Ok(valid.to_owned()));
        }
        for invalid in ["", "https://example.com", "example.com/", "*.example.com", "::1", "a:b", ":80"] {
            assert!(host(invalid).is_err(), "{invalid}");
        }
    }
}
