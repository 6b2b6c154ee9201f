//! Why a connection failed, in words that serve as a key: the same cause always gives the same line.

use crate::{net::socket::SourceError, stats::counters::CauseCount};
use rustls::{AlertDescription, CertificateError};
use std::io::{self, ErrorKind};
use tungstenite::{
    Error,
    error::{ProtocolError, SubProtocolError},
    http::StatusCode,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// Longest part of a close reason that a failure shows, in characters.
const MAX_CLOSE_REASON: usize = 80;

/// Why a connection could not be opened, or was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    /// What the server added: empty, or appended to the reason. It can differ each time.
    detail: String,
    /// What the user can do: empty, or appended to the reason.
    advice: &'static str,
    /// Where the server redirects to.
    pub(crate) redirect: Option<String>,
    /// The server stops, and has closed the session in order: it has sent all replies that it owed, and has
    /// not read what it has not replied to.
    pub(crate) is_stop: bool,
}

impl Failure {
    fn new(reason: impl Into<String>, advice: &'static str) -> Self {
        Self { reason: reason.into(), detail: String::new(), advice, redirect: None, is_stop: false }
    }

    /// Adds what the server said.
    pub(crate) fn with_details(mut self, details: &[String]) -> Self {
        if !details.is_empty() {
            self.detail = format!(" ({})", details.join("; "));
        }
        self
    }

    /// Adds where the server redirects to.
    pub(crate) fn with_redirect(mut self, redirect: Option<String>) -> Self {
        if redirect.is_some() {
            self.advice = "; use that URL, or follow it with --follow 1";
        }
        self.redirect = redirect;
        self
    }

    /// Returns the entry for one occurrence.
    pub(crate) fn cause(&self) -> CauseCount {
        CauseCount { number: 1, detail: self.detail.clone(), advice: self.advice }
    }

    /// Describes a socket or TLS error.
    pub(crate) fn from_io(error: &io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::from_tls(tls);
        }
        if let Some(source) = error.get_ref().and_then(|inner| inner.downcast_ref::<SourceError>()) {
            return Self::new(source.to_string(), "; --source needs addresses of this machine");
        }
        match error.kind() {
            ErrorKind::ConnectionRefused => {
                Self::new("connection refused", "; is a server listening on that port?")
            }
            ErrorKind::NotFound => Self::new("no socket at the path of --unix", ""),
            ErrorKind::ConnectionReset => Self::new("connection reset by the server", ""),
            ErrorKind::BrokenPipe => Self::new("connection closed by the server while sending", ""),
            ErrorKind::UnexpectedEof => Self::new("connection closed by the server in the TLS handshake", ""),
            ErrorKind::AddrNotAvailable => Self::new(
                "no free source port on this machine",
                "; use more source addresses (--source), lower --connections or --connect-rate, or widen \
                 net.ipv4.ip_local_port_range",
            ),
            _ => Self::new(error.to_string(), ""),
        }
    }

    fn from_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(problem) => {
                let advice = match problem {
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                        "; name the host of the certificate with --sni, or skip the check with --insecure"
                    }
                    CertificateError::Expired
                    | CertificateError::ExpiredContext { .. }
                    | CertificateError::NotValidYet
                    | CertificateError::NotValidYetContext { .. } => {
                        "; check the clock of this machine, renew the certificate, or skip the check with \
                         --insecure"
                    }
                    _ => "; name it or its CA with --cacert, or skip the check with --insecure",
                };
                Self::new(format!("the server's certificate is not trusted ({problem})"), advice)
            }
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied,
            ) => Self::new(
                format!("TLS: {error}"),
                "; the server requires a certificate that it trusts: see --cert and --key",
            ),
            rustls::Error::InvalidMessage(_) => {
                Self::new("the server does not use TLS", "; use ws:// instead of wss://?")
            }
            other => Self::new(format!("TLS: {other}"), ""),
        }
    }

    /// Describes an error of the WebSocket layer, during the handshake or later.
    pub(crate) fn from_websocket(error: &Error) -> Self {
        match error {
            Error::Io(error) => Self::from_io(error),
            Error::Http(response) => Self::from_status(response.status()),
            Error::Protocol(ProtocolError::HandshakeIncomplete) => {
                Self::new("connection closed by the server without a response to the handshake", "")
            }
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::ConnectionClosed => {
                Self::new("connection closed by the server without a closing handshake", "")
            }
            Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(SubProtocolError::NoSubProtocol)) => {
                Self::new("the server selected none of the subprotocols", "; see --subprotocol")
            }
            Error::Protocol(ProtocolError::HttparseError(_)) => {
                Self::new("the response to the handshake is not HTTP", "; use wss:// instead of ws://?")
            }
            Error::Protocol(problem) => Self::new(format!("violates RFC 6455: {problem}"), ""),
            Error::Capacity(problem) => Self::new(format!("the server sent too much: {problem}"), ""),
            other => Self::new(other.to_string(), ""),
        }
    }

    /// Describes a response other than 101.
    pub(crate) fn from_status(status: StatusCode) -> Self {
        let advice = match status {
            StatusCode::NOT_FOUND => "; check the path of the URL",
            StatusCode::SERVICE_UNAVAILABLE => {
                "; the server is at capacity: raise its limit, or lower --connections"
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; see --header and --origin",
            StatusCode::OK => "; this is a web page, not a WebSocket endpoint",
            _ => "",
        };
        let phrase = status.canonical_reason().unwrap_or("unknown reason");
        Self::new(format!("HTTP {} {phrase}", status.as_u16()), advice)
    }

    /// Describes a response of the proxy other than success.
    pub(crate) fn from_proxy_status(status: StatusCode) -> Self {
        let advice = match status {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                "; give the proxy a user and password: --proxy http://user:password@host:port"
            }
            StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED => {
                "; the proxy allows no CONNECT to this host and port"
            }
            _ => "; the proxy may not reach the server",
        };
        Self::new(Self::from_status(status).reason, advice).at_proxy()
    }

    /// Bytes followed the response to CONNECT, before the client had sent anything through the tunnel.
    pub(crate) fn early_bytes() -> Self {
        Self::new("bytes behind the response to CONNECT", "").at_proxy()
    }

    /// Says that the failure is one of the proxy, or of the connection to it.
    pub(crate) fn at_proxy(mut self) -> Self {
        self.reason = format!("proxy: {}", self.reason);
        self
    }

    /// Describes a Close frame that the server sent first.
    pub(crate) fn from_close(frame: Option<&CloseFrame>) -> Self {
        match frame {
            Some(frame) => {
                let reason: String = frame.reason.escape_debug().take(MAX_CLOSE_REASON).collect();
                let code = u16::from(frame.code);
                let failure = Self::new(format!("closed by the server: {code} {reason}").trim_end(), "");
                Self { is_stop: matches!(frame.code, CloseCode::Away | CloseCode::Restart), ..failure }
            }
            None => Self::new("closed by the server without a code", ""),
        }
    }

    /// The server uses an extension that was not offered, or not with these parameters.
    pub(crate) fn unexpected_extension() -> Self {
        Self::new("the server selected an extension that was not offered", "")
    }

    /// A compressed message violates RFC 7692.
    pub(crate) fn bad_deflate() -> Self {
        Self::new("a compressed message could not be inflated", "")
    }

    /// A phase of opening took longer than `--connect-timeout`.
    pub(crate) fn timed_out(phase: &'static str) -> Self {
        Self::new(format!("time-out in the {phase}"), "; check host and port, or raise --connect-timeout")
    }
}
