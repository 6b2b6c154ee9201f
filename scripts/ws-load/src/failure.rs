//! Why a connection failed, in words that serve as a key: the same cause always gives the same line.

use super::stats::Blame;
use std::io::{self, ErrorKind};
use tungstenite::{
    Error,
    error::{ProtocolError, SubProtocolError},
    http::StatusCode,
    protocol::CloseFrame,
};

/// The reason why a connection could not be opened, or was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: String,
    advice: &'static str,
}

impl Failure {
    fn new(reason: impl Into<String>, advice: &'static str) -> Self {
        Self { reason: reason.into(), advice }
    }

    /// It happened once.
    pub(super) fn blame(&self) -> Blame {
        Blame { number: 1, advice: self.advice }
    }

    /// From a socket or TLS error.
    pub(super) fn from_io(error: &io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::from_tls(tls);
        }
        match error.kind() {
            ErrorKind::ConnectionRefused => {
                Self::new("connection refused", "; is a server listening on that port?")
            }
            ErrorKind::ConnectionReset => Self::new("connection reset by the server", ""),
            ErrorKind::BrokenPipe => Self::new("connection closed by the server while sending", ""),
            ErrorKind::UnexpectedEof => Self::new("connection closed by the server in the TLS handshake", ""),
            ErrorKind::AddrNotAvailable => Self::new(
                "no free source port on this machine",
                "; lower --connections or --connect-rate, or widen net.ipv4.ip_local_port_range",
            ),
            _ => Self::new(error.to_string(), ""),
        }
    }

    fn from_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(problem) => Self::new(
                format!("the server's certificate is not trusted ({problem})"),
                "; name its CA with --cacert, or skip the check with --insecure",
            ),
            rustls::Error::InvalidMessage(_) => {
                Self::new("the server does not speak TLS", "; does the URL want ws:// instead of wss://?")
            }
            other => Self::new(format!("TLS: {other}"), ""),
        }
    }

    /// From the WebSocket layer, while opening or later.
    pub(super) fn from_websocket(error: &Error) -> Self {
        match error {
            Error::Io(error) => Self::from_io(error),
            Error::Http(response) => Self::from_status(response.status()),
            Error::Protocol(ProtocolError::HandshakeIncomplete) => {
                Self::new("the server closed the connection without an answer to the handshake", "")
            }
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::ConnectionClosed => {
                Self::new("connection closed by the server without a closing handshake", "")
            }
            Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(SubProtocolError::NoSubProtocol)) => {
                Self::new("the server took none of the subprotocols", "; see --subprotocol")
            }
            Error::Protocol(ProtocolError::HttparseError(_)) => {
                Self::new("the answer to the handshake is not HTTP", "; does the URL want wss://?")
            }
            Error::Protocol(problem) => Self::new(format!("against RFC 6455: {problem}"), ""),
            Error::Capacity(problem) => Self::new(format!("the server sent too much: {problem}"), ""),
            other => Self::new(other.to_string(), ""),
        }
    }

    fn from_status(status: StatusCode) -> Self {
        let advice = match status {
            StatusCode::NOT_FOUND => "; check the path of the URL",
            StatusCode::SERVICE_UNAVAILABLE => {
                "; the server has no room: give it more workers, or lower --connections"
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; see --header and --origin",
            StatusCode::OK => "; that is a plain web page, not a WebSocket",
            _ => "",
        };
        let words = status.canonical_reason().unwrap_or("no reason known");
        Self::new(format!("HTTP {} {words}", status.as_u16()), advice)
    }

    /// The server sent a Close.
    pub(super) fn from_close(frame: Option<&CloseFrame>) -> Self {
        match frame {
            Some(frame) => {
                let reason: String = frame.reason.escape_debug().take(80).collect();
                Self::new(format!("closed by the server: {} {reason}", u16::from(frame.code)).trim_end(), "")
            }
            None => Self::new("closed by the server without a code", ""),
        }
    }

    /// The answer to the handshake names an extension that was not offered, or not like that.
    pub(super) fn unwanted_extension() -> Self {
        Self::new("the server chose an extension that was not offered", "")
    }

    /// A compressed message is not what RFC 7692 says.
    pub(super) fn bad_deflate() -> Self {
        Self::new("a compressed message could not be inflated", "")
    }

    /// A phase of opening took too long.
    pub(super) fn timed_out(phase: &'static str) -> Self {
        Self::new(
            format!("time-out in the {phase}"),
            "; is it the right host and port? --connect-timeout gives it longer",
        )
    }
}
