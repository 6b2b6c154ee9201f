//! Parsers of option values. Each error is a sentence that names the accepted values.

use std::net::IpAddr;
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;

use crate::config::{Config, MAX_DEFLATE_LEVEL, MAX_NAME_LENGTH, RoomsUrl, TrustedProxy, is_name_char};
use crate::endpoints::table::ENDPOINTS;
use crate::protocol::token::is_token_byte;
use crate::server::listen_address::ListenAddress;

/// Shortest time-out. Shorter ones would end healthy sessions.
const MIN_TIMEOUT: Duration = Duration::from_millis(10);

/// Largest value of `--max-message`, in bytes. A message is held in memory as a whole.
const MAX_MESSAGE_SIZE: u64 = 1 << 30;

/// Smallest value of `--memory`, in bytes.
const MIN_MEMORY_SIZE: u64 = 1 << 20;

/// Largest value of `--waiting`. Each queued connection is an open file.
const MAX_QUEUE_LENGTH: usize = 65_536;

/// A value of `--listen`: an address, or `none`, which disables the plain listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PlainAddress {
    None,
    At(ListenAddress),
}

/// Parses an address or `none`.
pub(super) fn address_or_none(text: &str) -> Result<PlainAddress, String> {
    if text == "none" { Ok(PlainAddress::None) } else { text.parse().map(PlainAddress::At) }
}

/// Parses what a health check asks: a URL or a path.
pub(super) fn health_target(text: &str) -> Result<String, String> {
    if ["http://", "https://", "/"].iter().any(|start| text.starts_with(start))
        && text.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Ok(text.to_owned());
    }
    Err("expected a URL or a path, for example http://127.0.0.1:1234/readyz or /readyz".to_owned())
}

/// Takes the URL of a Redis as it is: an error would show its password. [`check_rooms_url`] checks it.
#[expect(clippy::unnecessary_wraps, reason = "all parsers have the same signature")]
pub(super) fn rooms_url(text: &str) -> Result<RoomsUrl, String> {
    Ok(RoomsUrl::new(text))
}

/// Checks the URL of a Redis. The error does not contain it.
pub(super) fn check_rooms_url(url: &RoomsUrl) -> Result<(), String> {
    let (scheme, rest) = url.as_str().split_once("://").unwrap_or_default();
    if scheme == "rediss" && !cfg!(feature = "redis-tls") {
        return Err("--rooms rediss://... needs a build with the feature redis-tls".to_owned());
    }
    if rest.ends_with("#insecure") {
        return Err("--rooms cannot end with #insecure: name the file of the CA in SSL_CERT_FILE".to_owned());
    }
    let is_valid = ["redis", "rediss"].contains(&scheme)
        && !rest.starts_with('/')
        && redis::IntoConnectionInfo::into_connection_info(url.as_str()).is_ok();
    let expected =
        "--rooms takes redis://[[USER]:PASSWORD@]HOST:PORT[/DB], for example redis://127.0.0.1:6379";
    if is_valid { Ok(()) } else { Err(expected.to_owned()) }
}

/// Parses an integer of at least 1.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "expected an integer from 1".to_owned())
}

/// Parses the maximum number of queued connections.
pub(super) fn queue_length(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|&n| n <= MAX_QUEUE_LENGTH)
        .ok_or_else(|| format!("expected an integer from 0 to {MAX_QUEUE_LENGTH}"))
}

/// Parses a compression level.
pub(super) fn deflate_level(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|&n| n <= MAX_DEFLATE_LEVEL)
        .ok_or_else(|| format!("expected an integer from 0 to {MAX_DEFLATE_LEVEL}"))
}

/// Parses a message size in bytes.
pub(super) fn message_size(text: &str) -> Result<usize, String> {
    text.parse::<ByteSize>()
        .ok()
        .filter(|size| (1..=MAX_MESSAGE_SIZE).contains(&size.0))
        .and_then(|size| usize::try_from(size.0).ok())
        .ok_or_else(|| "expected a size from 1 to 1GiB, for example 512, 64KiB or 16MiB".to_owned())
}

/// Parses the memory for messages in bytes.
pub(super) fn memory_size(text: &str) -> Result<usize, String> {
    text.parse::<ByteSize>()
        .ok()
        .filter(|size| size.0 >= MIN_MEMORY_SIZE)
        .and_then(|size| isize::try_from(size.0).ok())
        .map(isize::unsigned_abs)
        .ok_or_else(|| "expected a size from 1MiB, for example 64MiB or 2GiB".to_owned())
}

/// Parses a time-out.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .ok()
        .filter(|timeout| (MIN_TIMEOUT..=Config::MAX_TIMEOUT).contains(timeout))
        .ok_or_else(|| "expected a time from 10ms to 1day, for example 500ms, 20s or 1m30s".to_owned())
}

/// Parses a time-out, or zero to disable it.
pub(super) fn timeout_or_zero(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => Ok(time),
        _ => timeout(text).map_err(|expected| format!("{expected}, or 0s to disable")),
    }
}

/// Parses the name of a subprotocol, which is a token (RFC 9110, section 5.6.2). `*` is a token too.
pub(super) fn token(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(is_token_byte) {
        return Ok(text.to_owned());
    }
    Err("expected a name of letters, digits and !#$%&'*+-.^_`|~".to_owned())
}

/// Parses the name of an instance.
pub(super) fn name(text: &str) -> Result<String, String> {
    if (1..=MAX_NAME_LENGTH).contains(&text.len()) && text.chars().all(is_name_char) {
        return Ok(text.to_owned());
    }
    Err(format!("expected 1 to {MAX_NAME_LENGTH} letters, digits and -._~:@/+"))
}

/// Parses a range of addresses in CIDR notation, a single address, or `unix`.
pub(super) fn trusted_proxy(text: &str) -> Result<TrustedProxy, String> {
    if text == "unix" {
        return Ok(TrustedProxy::Unix);
    }
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map(TrustedProxy::Network).map_err(|_| {
        "expected a range of addresses, for example 10.0.0.0/8 or fd00::/8, or `unix`".to_owned()
    })
}

/// Parses the path of an endpoint, with or without its first slash. Returns it as in the table of endpoints.
pub(super) fn endpoint(text: &str) -> Result<String, String> {
    let path = format!("/{}", text.strip_prefix('/').unwrap_or(text));
    let is_named =
        |listed: &str| !text.is_empty() && (listed == path || listed.strip_suffix("/CODE") == Some(&*path));
    let mut paths = ENDPOINTS.iter().map(|endpoint| endpoint.path);
    paths.clone().find(|listed| is_named(listed)).map(str::to_owned).ok_or_else(|| {
        let last = paths.next_back().unwrap_or_default();
        format!("expected one of {} and {last}", paths.collect::<Vec<_>>().join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_size_accepts_units() {
        assert_eq!(message_size("512"), Ok(512));
        assert_eq!(message_size("64KiB"), Ok(65_536));
        assert_eq!(message_size("16MiB"), Ok(16 << 20));
        assert!(
            message_size("0").is_err()
                && message_size("2GiB").is_err()
                && message_size("-1").is_err()
                && message_size("many").is_err()
        );
    }

    #[test]
    fn timeout_accepts_units() {
        assert_eq!(timeout("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(timeout("1m30s"), Ok(Duration::from_secs(90)));
        assert!(
            timeout("0s").is_err()
                && timeout("1ms").is_err()
                && timeout("5").is_err()
                && timeout("8days").is_err()
        );
        assert_eq!(timeout_or_zero("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn name_needs_no_quotes() {
        for valid in ["web-1", "10.0.0.1:8080", "namespace/pod", "a"] {
            assert_eq!(name(valid), Ok(valid.to_owned()));
        }
        for invalid in ["", "a b", "a\"", "a\\", "a\r\nb", "\u{e4}", &"a".repeat(256)] {
            assert!(name(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn trusted_proxy_is_a_range_an_address_or_unix() {
        for (text, network) in
            [("10.1.2.3/8", "10.1.2.3/8"), ("::1", "::1/128"), ("127.0.0.1", "127.0.0.1/32")]
        {
            assert_eq!(trusted_proxy(text), Ok(TrustedProxy::Network(network.parse().unwrap())));
        }
        assert_eq!(trusted_proxy("unix"), Ok(TrustedProxy::Unix));
        for invalid in ["", "10.0.0.0/33", "localhost", "10.0.0", "[::1]", "*"] {
            assert!(trusted_proxy(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn endpoint_must_be_in_the_table() {
        assert_eq!(endpoint("/broadcast"), Ok("/broadcast".to_owned()));
        assert_eq!(endpoint("push"), Ok("/push".to_owned()));
        assert_eq!(endpoint("/"), Ok("/".to_owned()));
        for status in ["/status/CODE", "status", "/status"] {
            assert_eq!(endpoint(status), Ok("/status/CODE".to_owned()));
        }
        for unknown in ["", "//echo", "/status/503", "/metrics", "/Echo"] {
            let expected = endpoint(unknown).unwrap_err();
            assert!(
                expected.contains("/broadcast, /source") && expected.ends_with("and /stats"),
                "{expected}"
            );
        }
    }
}
