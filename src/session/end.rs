//! How a session ended: by whom, with which close code, and whether both sides agreed.

use std::fmt;

/// The code of a Close frame without one (RFC 6455, 7.4.1); never sent.
pub const NO_CODE: u16 = 1005;

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEnd {
    /// A Close frame went over the wire.
    Closed {
        /// Who sent the first Close.
        by: Side,
        /// Its code; [`NO_CODE`] when it had none.
        code: u16,
        /// Its reason, often empty.
        reason: String,
        /// Whether the other side answered it in time.
        clean: bool,
    },
    /// The peer went without a Close (what browsers report as 1006).
    AbnormalClosure,
    /// The server cut the connection without a Close, because the peer had stopped reading.
    Aborted,
    /// The server ended the connection without a Close because the path asks for that.
    Dropped,
    /// The request was answered with a plain HTTP status, and never became a session.
    HttpResponse(u16),
    /// There was no TLS session: the handshake failed, or was not complete in time.
    TlsFailed,
    /// The peer connected and went, or was sent away, without having said anything.
    NoRequest,
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The peer.
    Client,
    /// This server.
    Server,
}

impl SessionEnd {
    /// A Close that the server sent, and that nobody has answered yet.
    pub(crate) fn by_server(code: u16, reason: impl Into<String>) -> Self {
        Self::Closed { by: Side::Server, code, reason: reason.into(), clean: false }
    }

    /// Whether both sides said Close.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::Closed { clean: true, .. })
    }

    /// Who ended it and how, in one word each: the labels under which it is counted.
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
                if *clean { write!(f, ", answered") } else { Ok(()) }
            }
            Self::AbnormalClosure => write!(f, "the client went without a Close"),
            Self::Aborted => write!(f, "cut: the client had stopped reading"),
            Self::Dropped => write!(f, "dropped on purpose"),
            Self::HttpResponse(status) => write!(f, "answered {status}"),
            Self::TlsFailed => write!(f, "there was no TLS session"),
            Self::NoRequest => write!(f, "the client said nothing"),
        }
    }
}
