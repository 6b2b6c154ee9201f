//! Where a server listens, as options name it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What an address must look like, for error messages.
const EXPECTED: &str = "expected HOST:PORT, unix:PATH, systemd or systemd:NAME, for example 127.0.0.1:1234, \
                        localhost:0, [::]:1234 or unix:/run/ws-echo.sock";

/// Maximum length of the path of a Unix socket in bytes (unix(7)).
const MAX_PATH_LENGTH: usize = 107;

/// An address to listen on. Parsed from text and written as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `HOST:PORT`. HOST is an IPv4 address, an IPv6 address in brackets, or a name, which stands for all of
    /// its addresses. Port 0 picks a free port.
    Tcp(String),
    /// `unix:PATH`: a Unix socket (unix(7)).
    Unix(PathBuf),
    /// `systemd` or `systemd:NAME`: the sockets that the service manager has passed, all or those with this
    /// name.
    Inherited(Option<String>),
}

impl FromStr for ListenAddress {
    type Err = String;

    /// Parses an address. The error is a sentence that names what is accepted.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.len() {
                0 => Err(EXPECTED.to_owned()),
                1..=MAX_PATH_LENGTH => Ok(Self::Unix(path.into())),
                length => Err(format!("a path of {length} bytes; at most {MAX_PATH_LENGTH} are possible")),
            };
        }
        match text.split_once(':').unwrap_or((text, "")) {
            ("systemd", "") => return Ok(Self::Inherited(None)),
            ("systemd", name) => return Ok(Self::Inherited(Some(name.to_owned()))),
            _ => {}
        }
        let (host, port) = text.rsplit_once(':').ok_or(EXPECTED)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || (host.contains(':') && !bracketed) {
            return Err(EXPECTED.to_owned());
        }
        if port.parse::<u16>().is_err() {
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if is_number { "the port must be from 0 to 65535" } else { EXPECTED }.to_owned());
        }
        Ok(Self::Tcp(text.to_owned()))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Inherited(None) => f.write_str("systemd"),
            Self::Inherited(Some(name)) => write!(f, "systemd:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_host_and_port_or_a_path() {
        for valid in [
            "127.0.0.1:1234",
            "localhost:0",
            "[::1]:80",
            "unix:/run/a.sock",
            "unix:a",
            "systemd",
            "systemd:ws",
        ] {
            let address: ListenAddress = valid.parse().expect(valid);
            assert_eq!(address.to_string(), valid);
        }
        let long = format!("unix:/{}", "a".repeat(107));
        for invalid in ["1234", "::1:80", "host:", "host:65536", ":80", "", "unix:", &long] {
            assert!(invalid.parse::<ListenAddress>().is_err(), "{invalid}");
        }
        let error = "127.0.0.1:99999".parse::<ListenAddress>().unwrap_err();
        assert_eq!(error, "the port must be from 0 to 65535");
    }
}
