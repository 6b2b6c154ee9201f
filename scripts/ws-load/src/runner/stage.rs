//! The stages of a driver's run.

/// What a driver does, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) enum Stage {
    /// Opens the connections. Ends when each of them is open or has failed.
    Opening,
    /// Sends the load.
    Running,
    /// Starts nothing new, and waits for outstanding replies.
    Draining,
    /// Closes the connections.
    Closing,
}
