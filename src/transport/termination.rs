//! Why another thread ends a session, and what its peer is told.

/// Why somebody other than its worker ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TerminationReason {
    /// The request head was not complete by the deadline.
    HandshakeTimeout = 1,
    /// The server stops.
    Shutdown,
    /// No sign of life after a Ping.
    Keepalive,
    /// The peer did not read.
    WriteStalled,
    /// The peer did not keep up with what other sessions pushed to it.
    TooSlow,
}

impl TerminationReason {
    /// The verdict with that number; 0 is none.
    pub(crate) fn from_u8(number: u8) -> Option<Self> {
        [Self::HandshakeTimeout, Self::Shutdown, Self::Keepalive, Self::WriteStalled, Self::TooSlow]
            .into_iter()
            .find(|termination_reason| *termination_reason as u8 == number)
    }

    /// The code and the reason of the Close that tells it (RFC 6455, 7.4.1).
    pub(crate) fn close(self) -> (u16, &'static str) {
        match self {
            Self::Shutdown => (1001, "server shutting down"),
            Self::Keepalive => (1011, "keepalive timeout"),
            Self::TooSlow => (1013, "you read too slowly for this room"),
            // These end without a Close.
            Self::HandshakeTimeout | Self::WriteStalled => (1006, ""),
        }
    }
}
