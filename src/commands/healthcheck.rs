//! Asks a server for its health, as the health check of a container does.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::cli::Cli;
use crate::config::ProxyProtocol;
use crate::server::listen_address::ListenAddress;
use crate::tls::unverified;

/// Maximum size of a response in bytes. A health endpoint sends a few hundred.
const MAX_RESPONSE: u64 = 64 << 10;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    secure: bool,
    /// The Unix socket to connect to, instead of the authority.
    socket: Option<PathBuf>,
    /// Host and port, as in a URL.
    authority: String,
    /// Path with its first slash.
    path: String,
    /// The server requires a PROXY header.
    proxy_header: bool,
}

/// Sends a GET request and returns a line with the status of the response. `url` is a URL, or a path of the
/// server that `server` describes. Blocks for at most `timeout`.
///
/// # Errors
/// If the status is not 200, if there is no response in time, or if the address cannot be derived from the
/// options. The text is a line for the user.
pub(super) fn ask(server: &Cli, url: &str, timeout: Duration) -> Result<String, String> {
    let target = if url.starts_with('/') { own(server, url)? } else { parse(url)? };
    let (sender, receiver) = mpsc::sync_channel(1);
    let request = target.clone();
    // A thread, because name resolution has no time-out. The process ends without it.
    thread::Builder::new()
        .name("health".into())
        .spawn(move || sender.send(request.get(timeout)))
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    let response = receiver.recv_timeout(timeout).unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no response in {timeout:?}")))
    });
    let response = response.map_err(|error| format!("{target}: {}", reason(&error)))?;
    let (status, body) =
        status_and_body(&response).ok_or_else(|| format!("{target}: not an HTTP response"))?;
    let line = format!("{target}: {status} {body}");
    if status == 200 { Ok(line + "\n") } else { Err(line) }
}

/// Returns why there is no response.
fn reason(error: &io::Error) -> String {
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match of_tls {
        Some(rustls::Error::InvalidMessage(_)) => "this port does not use TLS; use http://".to_owned(),
        _ => error.to_string(),
    }
}

/// Returns the address of the server itself: the admin listener first, a plain one before one with TLS, and
/// TCP before a Unix socket.
fn own(server: &Cli, path: &str) -> Result<Target, String> {
    let (plain, secure) = match server.admin_listen() {
        [] => (server.listen(), server.tls_listen()),
        admin => (admin.to_vec(), &[][..]),
    };
    let proxy_header = server.admin_listen().is_empty() && server.proxy_protocol() == ProxyProtocol::Require;
    let all =
        || plain.iter().map(|address| (false, address)).chain(secure.iter().map(|address| (true, address)));
    let tcp = all().find_map(|(secure, address)| match address {
        ListenAddress::Tcp(name) => Some((secure, name)),
        ListenAddress::Unix(_) | ListenAddress::Inherited(_) => None,
    });
    let Some((secure, address)) = tcp else {
        return match all().next() {
            Some((secure, ListenAddress::Unix(socket))) => Ok(Target {
                secure,
                socket: Some(socket.clone()),
                authority: "localhost:80".to_owned(),
                path: path.to_owned(),
                proxy_header,
            }),
            Some((_, ListenAddress::Inherited(_))) => {
                Err("the address of a socket unit is not known; pass the URL of the server".to_owned())
            }
            _ => Err("WS_ECHO_LISTEN is none and WS_ECHO_TLS_LISTEN is not set".to_owned()),
        };
    };
    let (host, port) = address.rsplit_once(':').unwrap_or((address.as_str(), ""));
    if port == "0" {
        return Err(format!("the port of {address} is not known; pass the URL of the server"));
    }
    // A connection to an unspecified address is not portable (ip(7)).
    let host = match host {
        "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    let authority = format!("{host}:{port}");
    Ok(Target { secure, socket: None, authority, path: path.to_owned(), proxy_header })
}

/// Parses `http://HOST[:PORT][/PATH]` or `https://`.
fn parse(url: &str) -> Result<Target, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    let secure = match scheme {
        "http" => false,
        "https" => true,
        _ => return Err(format!("{url}: expected a URL with http:// or https://, or a path")),
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let port = if secure { ":443" } else { ":80" };
    let authority = if has_port { authority.to_owned() } else { format!("{authority}{port}") };
    let path = if path.is_empty() { "/livez" } else { path }.to_owned();
    Ok(Target { secure, socket: None, authority, path, proxy_header: false })
}

impl Target {
    /// Sends the request and reads the response to its end.
    fn get(&self, timeout: Duration) -> io::Result<Vec<u8>> {
        if let Some(socket) = &self.socket {
            let stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            return self.exchange(stream);
        }
        let stream = TcpStream::connect(&self.authority)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        self.exchange(stream)
    }

    fn exchange(&self, mut stream: impl Read + Write) -> io::Result<Vec<u8>> {
        if self.proxy_header {
            // The one for a connection of the proxy itself.
            stream.write_all(b"PROXY UNKNOWN\r\n")?;
        }
        if self.secure {
            let host = self.authority.rsplit_once(':').map_or("", |(host, _)| host);
            self.request(&mut unverified::client(host, stream)?)
        } else {
            self.request(&mut stream)
        }
    }

    fn request(&self, stream: &mut (impl Read + Write)) -> io::Result<Vec<u8>> {
        let Self { authority, path, .. } = self;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut response = Vec::new();
        let read = stream.take(MAX_RESPONSE).read_to_end(&mut response);
        // A peer may reset the connection behind its response.
        if response.is_empty() { read.map(|_| response) } else { Ok(response) }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(socket) = &self.socket {
            return write!(f, "unix:{} {}", socket.display(), self.path);
        }
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

/// Returns the status code (RFC 9112, section 4) and the first line of the body without control characters.
fn status_and_body(response: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(response);
    let status = text.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let line = body.lines().next().unwrap_or_default();
    Some((status, line.chars().filter(|c| !c.is_control()).take(200).collect()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn healthcheck_asks_the_address_of_the_server() {
        let own = |arguments: &[&str]| {
            let server = Cli::parse_from([&["ws-echo"], arguments].concat());
            own(&server, "/readyz").map(|target| target.to_string())
        };
        for (listen, url) in [
            ("0.0.0.0:8080", "http://127.0.0.1:8080/readyz"),
            ("[::]:8080", "http://[::1]:8080/readyz"),
            ("example.com:80", "http://example.com:80/readyz"),
            ("unix:/run/a,0.0.0.0:1", "http://127.0.0.1:1/readyz"),
            ("unix:/run/a", "unix:/run/a /readyz"),
        ] {
            assert_eq!(own(&[&format!("--listen={listen}")]).as_deref(), Ok(url));
        }
        let tls = ["--listen=none", "--tls-listen=0.0.0.0:443", "--tls-cert=c", "--tls-key=k"];
        assert_eq!(own(&tls).as_deref(), Ok("https://127.0.0.1:443/readyz"));
        // The probe needs no certificate.
        assert_eq!(own(&tls[..2]).as_deref(), Ok("https://127.0.0.1:443/readyz"));
        assert!(own(&["--listen=127.0.0.1:0"]).unwrap_err().contains("pass the URL"));
    }

    #[test]
    fn healthcheck_parses_urls() {
        let parsed = |url| parse(url).map(|target| target.to_string());
        assert_eq!(parsed("http://a").as_deref(), Ok("http://a:80/livez"));
        assert_eq!(parsed("https://[::1]/readyz").as_deref(), Ok("https://[::1]:443/readyz"));
        assert_eq!(parsed("http://a:1/health?x").as_deref(), Ok("http://a:1/health?x"));
        assert!(parsed("ws://a").is_err() && parsed("a:80").is_err());
    }

    #[test]
    fn healthcheck_reads_the_status_and_a_line_of_the_body() {
        let response = b"HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\nfull\x1b\nmore";
        assert_eq!(status_and_body(response), Some((503, "full".to_owned())));
        assert_eq!(status_and_body(b"HTTP/1.1 200"), Some((200, String::new())));
        for invalid in [&b"SSH-2.0"[..], b"", b"HTTP/1.1 2", b"HTTP/1.\xff\xff\xff\xff\xff"] {
            assert_eq!(status_and_body(invalid), None);
        }
    }
}
