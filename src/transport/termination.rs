//! Why a thread other than the worker ends a session, and the Close frame for it.

/// A reason to end a session. Stored in an atomic byte, in which 0 means that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TerminationReason {
    /// The request head was not complete at the handshake deadline.
    HandshakeTimeout = 1,
    /// The request waited too long for a place.
    QueueTimeout,
    /// The server shuts down.
    Shutdown,
    /// The server shuts down, and another one takes its place.
    Restart,
    /// The peer sent nothing after a Ping until the Pong deadline.
    Keepalive,
    /// The peer accepted no data until the write deadline.
    WriteStalled,
    /// The peer did not keep up with the messages of a room and was evicted.
    TooSlow,
    /// No message came for the idle time-out.
    Idle,
    /// The session reached its maximum age.
    MaxAge,
    /// A message was not complete at the message time-out.
    MessageTimeout,
    /// The connection over which instances share their rooms was lost.
    RoomsLost,
    /// Messages that the session sent to a room may not have reached it.
    NotPublished,
    /// A message of the room was not delivered because memory was short.
    RoomMemory,
}

impl TerminationReason {
    /// Returns the reason stored as `number`, or `None` for 0 and unknown numbers.
    pub(crate) fn from_u8(number: u8) -> Option<Self> {
        [
            Self::HandshakeTimeout,
            Self::QueueTimeout,
            Self::Shutdown,
            Self::Restart,
            Self::Keepalive,
            Self::WriteStalled,
            Self::TooSlow,
            Self::Idle,
            Self::MaxAge,
            Self::MessageTimeout,
            Self::RoomsLost,
            Self::NotPublished,
            Self::RoomMemory,
        ]
        .into_iter()
        .find(|termination_reason| *termination_reason as u8 == number)
    }

    /// Returns whether the server stops.
    pub(crate) fn is_stop(self) -> bool {
        matches!(self, Self::Shutdown | Self::Restart)
    }

    /// Returns whether the Close is for a peer that failed or cannot be served any more. Such a peer need not
    /// reply.
    pub(crate) fn is_error(self) -> bool {
        matches!(self.close_code_and_reason().0, 1008 | 1011 | 1013)
    }

    /// Returns the close code and the reason text of the Close frame (RFC 6455, 7.4.1).
    ///
    /// An idle or old session ends with 1001, "going away": its client has broken no rule and may connect
    /// again. A message that takes too long ends it with 1008, the code for a limit that has no code of its
    /// own.
    ///
    /// 1012, "service restart", is in the IANA registry of close codes: the client may connect again after a
    /// random delay.
    ///
    /// 1013, "try again later", ends a session for which a room cannot do what it should.
    ///
    /// A handshake time-out and a stalled write end without a Close frame; their code is 1006, which is never
    /// sent.
    pub(crate) fn close_code_and_reason(self) -> (u16, &'static str) {
        match self {
            Self::Shutdown => (1001, "server shutting down"),
            Self::Restart => (1012, "server restarting; connect again"),
            Self::Keepalive => (1011, "keepalive timeout"),
            Self::TooSlow => (1013, "you read too slowly for this room"),
            Self::Idle => (1001, "idle timeout: no message came in time"),
            Self::MaxAge => (1001, "maximum session age reached"),
            Self::MessageTimeout => (1008, "message timeout: a message was not complete in time"),
            Self::RoomsLost => (1012, "the connection to the other instances was lost; connect again"),
            Self::NotPublished => (1013, "your last messages may not have reached the room; send them again"),
            Self::RoomMemory => (1013, "the server is short of memory, and a message of this room was lost"),
            Self::HandshakeTimeout | Self::QueueTimeout | Self::WriteStalled => (1006, ""),
        }
    }
}
