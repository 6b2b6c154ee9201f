//! Chooses the scheduling policy of a session's worker ([`Policy`]).
//!
//! Under `SCHED_BATCH` a worker that is woken does not preempt the running thread. Sessions begin with it:
//! where thousands of connections arrive at once, each sends only one message at first. After
//! [`WARMUP_READS`] reads a session uses `SCHED_NORMAL`, and `SCHED_BATCH` again while it receives large
//! messages. If a worker preempts the client at the first of several large messages, the client sends the
//! next one later. The measurements, and the cost beside CPU-bound processes, are in scripts/TUNING.md.

use crate::platform::scheduling::Policy;

/// Reads under `SCHED_BATCH` when a session begins: the request head, a message, and what follows it. Over
/// TLS the handshake counts too.
const WARMUP_READS: u8 = 3;

/// Least size of a large message, in bytes. With `SCHED_BATCH` the server echoes a tenth more messages of
/// 64 KiB; see scripts/TUNING.md.
const LARGE_MESSAGE_MIN: usize = 16 << 10;

/// The history of one session, as far as its policy depends on it.
#[derive(Debug, Default)]
pub(super) struct SchedPolicy {
    /// Reads so far, at most 255.
    reads: u8,
    /// The last message had at least [`LARGE_MESSAGE_MIN`] bytes.
    last_message_large: bool,
}

impl SchedPolicy {
    /// Counts one read.
    pub(super) fn record_read(&mut self) {
        self.reads = self.reads.saturating_add(1);
    }

    /// Records that a message of `length` bytes was received.
    pub(super) fn record_message(&mut self, length: usize) {
        self.last_message_large = length >= LARGE_MESSAGE_MIN;
    }

    /// Returns the policy for the next read.
    pub(super) fn policy(&self) -> Policy {
        if self.reads < WARMUP_READS || self.last_message_large { Policy::Batch } else { Policy::Normal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sched_policy_is_batch_for_the_first_reads_and_after_large_messages() {
        let mut sched_policy = SchedPolicy::default();
        let policies =
            [20, 20, 20, LARGE_MESSAGE_MIN - 1, LARGE_MESSAGE_MIN, 1 << 20, 20].map(|message_length| {
                sched_policy.record_read();
                sched_policy.record_message(message_length);
                sched_policy.policy()
            });
        let (batch, normal) = (Policy::Batch, Policy::Normal);
        assert_eq!(policies, [batch, batch, normal, normal, batch, batch, normal]);
    }
}
