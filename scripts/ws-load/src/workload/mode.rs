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
}
