//! How a connection ended.

use std::fmt;

/// Reason of a Close 1013 ("try again later") for a session that needs more memory than the server has for
/// it.
pub(crate) const OUT_OF_MEMORY: &str = "the server is short of memory";

/// Close code of a Close frame without a code (RFC 6455, 7.4.1). Never sent.
pub const NO_CODE: u16 = 1005;

/// How a connection ended, as a session or before it became one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEnd {
    /// At least one Close frame was sent.
    Closed {
        /// The side that sent the first Close.
        by: Side,
        /// The code of that Close; [`NO_CODE`] if it had none.
        code: u16,
        /// The reason of that Close, 0 to 123 bytes.
        reason: String,
        /// Whether the other side replied with a Close in time. Always `false` after an error that the server
        /// closes with, because it does not wait for the reply.
        clean: bool,
    },
    /// The connection ended without a Close (code 1006 of RFC 6455, 7.4.1).
    AbnormalClosure,
    /// The server aborted the connection without a Close: after a write time-out, or after a panic if no
    /// Close could be sent.
    Aborted,
    /// The endpoint ended the connection without a Close on purpose.
    Dropped,
    /// The request got an HTTP response with this status, other than 101.
    HttpResponse(u16),
    /// The TLS handshake failed or was not complete in time.
    TlsFailed,
    /// The client sent nothing.
    NoRequest,
}

/// How a connection is dropped without a closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropMode {
    /// With a FIN: the peer reads an end of stream.
    Fin,
    /// With a RST: the peer gets a connection reset. The kernel discards bytes that it has not sent
    /// (`SO_LINGER`, socket(7)).
    Rst,
}

/// One side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The client.
    Client,
    /// This server.
    Server,
}

impl SessionEnd {
    /// Returns the end of a session in which the server sent a Close and the client has not replied.
    pub(crate) fn by_server(code: u16, reason: impl Into<String>) -> Self {
        Self::Closed { by: Side::Server, code, reason: reason.into(), clean: false }
    }

    /// Returns whether the closing handshake was complete.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::Closed { clean: true, .. })
    }

    /// Returns the metric labels: the cause, and the close code or HTTP status (0 if there is neither).
    #[must_use]
    pub fn labels(&self) -> (&'static str, u16) {
        match self {
            Self::Closed { by: Side::Client, code, .. } => ("client", *code),
            Self::Closed { by: Side::Server, code, .. } => ("server", *code),
            Self::AbnormalClosure => ("vanished", 1006),
            Self::Aborted => ("cut", 1006),
            Self::Dropped => ("dropped", 1006),
            Self::HttpResponse(status) => ("http", *status),
            Self::TlsFailed => ("tls", 0),
            Self::NoRequest => ("silent", 0),
        }
    }
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { by, code, reason, clean } => {
                let by = if *by == Side::Client { "client" } else { "server" };
                write!(f, "closed by the {by}")?;
                if *code != NO_CODE {
                    write!(f, " with {code}")?;
                }
                if !reason.is_empty() {
                    write!(f, " \"{}\"", reason.escape_debug())?;
                }
                if *clean { write!(f, " (clean)") } else { Ok(()) }
            }
            Self::AbnormalClosure => write!(f, "closed abnormally (1006)"),
            Self::Aborted => write!(f, "aborted by the server (1006)"),
            Self::Dropped => write!(f, "dropped by the endpoint (1006)"),
            Self::HttpResponse(status) => write!(f, "HTTP response {status}"),
            Self::TlsFailed => write!(f, "TLS handshake failed"),
            Self::NoRequest => write!(f, "no request received"),
        }
    }
}
