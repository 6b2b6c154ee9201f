//! Rooms in which each message reaches every connection: `--fan-out`.

/// Largest number of senders: each connection has a number for each of them.
pub(crate) const MAX_SENDERS: i64 = 256;

/// Who sends in a room, and who receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FanOut {
    /// Number of connections that send. They are the first ones.
    pub(crate) senders: u32,
    /// A message is sent back to its sender as well.
    pub(crate) to_sender: bool,
}

impl FanOut {
    /// Returns the number of the message, over all senders, that is number `sequence` of `sender`.
    pub(crate) fn slot(self, sender: u32, sequence: u64) -> u64 {
        sequence.saturating_mul(u64::from(self.senders)).saturating_add(u64::from(sender))
    }

    /// Returns whether `member` receives the messages of `sender`.
    pub(crate) fn reaches(self, member: u32, sender: u32) -> bool {
        self.to_sender || member != sender
    }
}
