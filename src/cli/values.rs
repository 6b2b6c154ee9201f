//! Values as people write them, each refused with the sentence that says what would be accepted.

use std::time::Duration;

use bytesize::ByteSize;

use crate::config::Config;
use crate::config::MAX_DEFLATE_LEVEL;

/// The longest wait that an option takes.
const LONGEST_WAIT: Duration = Config::MAX_TIMEOUT;

/// The shortest wait that an option takes: a shorter one would end healthy sessions.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// The largest message that an option takes: a message is held in memory as a whole.
const LARGEST_MESSAGE: u64 = 1 << 30;

/// In place of an address: do not listen.
pub(super) const NOWHERE: &str = "none";
/// An address, or `none`.
pub(super) fn address_or_none(text: &str) -> Result<String, String> {
    if text == NOWHERE { Ok(text.to_owned()) } else { address(text) }
}

/// `HOST:PORT`, where HOST is a name, an IPv4 address or an IPv6 address in brackets.
pub(super) fn address(text: &str) -> Result<String, String> {
    let accepted = "give HOST:PORT, for example 127.0.0.1:1234, localhost:0 or [::]:1234";
    let (host, port) = text.rsplit_once(':').ok_or(accepted)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || (host.contains(':') && !bracketed) || port.parse::<u16>().is_err() {
        return Err(accepted.to_owned());
    }
    Ok(text.to_owned())
}

/// A whole number from 1.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "give a whole number from 1".to_owned())
}

/// How many connections may wait: each is an open file, so the number has a bound.
pub(super) fn waiting(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n <= 65_536).ok_or_else(|| "give a whole number from 0 to 65536".to_owned())
}

/// A level of compression.
pub(super) fn level(text: &str) -> Result<u32, String> {
    let highest = MAX_DEFLATE_LEVEL;
    text.parse()
        .ok()
        .filter(|&n| n <= highest)
        .ok_or_else(|| format!("give a whole number from 0 to {highest}"))
}

/// A message size.
pub(super) fn size(text: &str) -> Result<usize, String> {
    text.parse::<ByteSize>()
        .ok()
        .filter(|size| (1..=LARGEST_MESSAGE).contains(&size.0))
        .and_then(|size| usize::try_from(size.0).ok())
        .ok_or_else(|| "give a size from 1 to 1GiB, for example 512, 64KiB or 16MiB".to_owned())
}

/// A time-out.
pub(super) fn wait(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .ok()
        .filter(|wait| (SHORTEST_WAIT..=LONGEST_WAIT).contains(wait))
        .ok_or_else(|| "give a time from 10ms to 1day, for example 500ms, 20s or 1m30s".to_owned())
}

/// A time-out that zero turns off.
pub(super) fn wait_or_none(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(wait) if wait.is_zero() => Ok(wait),
        _ => wait(text).map_err(|accepted| format!("{accepted}, or 0s for never")),
    }
}

/// An origin as browsers send it (RFC 6454, 7): a scheme and a host, or `null`.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let complete = text.split_once("://").is_some_and(|(scheme, host)| {
        !scheme.is_empty() && !host.is_empty() && !host.contains(['/', ' ', ','])
    });
    if complete || text == "null" {
        return Ok(text.to_ascii_lowercase());
    }
    Err("give scheme://host or scheme://host:port without a path, for example https://example.com".to_owned())
}

/// A token (RFC 9110, 5.6.2), which is what a subprotocol's name has to be.
pub(super) fn token(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(crate::protocol::token::is_token_byte) {
        return Ok(text.to_owned());
    }
    Err("give a name of letters, digits and !#$%&'*+-.^_`|~".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_people_write_them() {
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("16MiB"), Ok(16 << 20));
        assert!(size("0").is_err() && size("2GiB").is_err() && size("-1").is_err() && size("many").is_err());
    }

    #[test]
    fn waits_are_written_as_people_write_them() {
        assert_eq!(wait("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(wait("1m30s"), Ok(Duration::from_secs(90)));
        assert!(wait("0s").is_err() && wait("1ms").is_err() && wait("5").is_err() && wait("8days").is_err());
        assert_eq!(wait_or_none("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["127.0.0.1:1234", "localhost:0", "[::1]:80"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in ["1234", "::1:80", "host:", "host:65536", ":80", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_has_a_scheme_and_no_path() {
        assert_eq!(origin("HTTPS://Example.com"), Ok("https://example.com".to_owned()));
        assert!(origin("null").is_ok());
        assert!(origin("example.com").is_err() && origin("https://example.com/").is_err());
    }
}
