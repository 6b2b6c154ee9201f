//! What the connections of a run do.

/// What the connections of a run do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Send the next message when a reply arrives.
    Closed,
    /// Send this many messages per second over all connections.
    Rate(u64),
    /// Connect, echo one message, close, and again.
    Churn,
    /// Stay open and send nothing.
    Hold,
    /// Send as fast as the server reads, and expect no replies.
    Send,
    /// Receive what the server sends.
    Receive,
}

impl Mode {
    /// Returns whether connections are opened in the measured time, not before it.
    pub(crate) fn opens_in_measured_time(self) -> bool {
        matches!(self, Self::Churn | Self::Receive)
    }
}

/// The directions of `--one-way`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OneWay {
    /// From this program to the server.
    Send,
    /// From the server to this program.
    Receive,
}
