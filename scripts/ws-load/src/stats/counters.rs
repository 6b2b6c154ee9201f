//! What is counted, and which of it makes a run fail.

use std::collections::BTreeMap;

/// Largest number of different causes of failures that are kept by name. Further ones share one entry.
const MAX_CAUSES: usize = 24;

/// Defines [`Count`] with the name of each entry in the JSON and in `--assert`. The names are stable.
macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Everything that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Count { $($(#[$doc])* $name,)* }

        impl Count {
            /// All of them, in the order of the report.
            pub(crate) const ALL: &'static [Count] = &[$(Count::$name,)*];

            /// Returns the stable name.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Count::$name => $text,)* }
            }
        }
    };
}

counts! {
    /// Connections that were begun: the sum of opened, failed and unfinished.
    Attempted = "attempted",
    /// Connections whose TCP handshake was completed.
    Connected = "connected",
    /// Connections whose WebSocket handshake was completed: the sum of closed cleanly, cut and lost.
    Opened = "opened",
    /// Opened connections that use permessage-deflate.
    Compressed = "compressed",
    /// Lost connections that were opened again.
    Reconnected = "reconnected",
    /// Full TLS handshakes.
    TlsFull = "tls_full",
    /// TLS handshakes that resumed an earlier session.
    TlsResumed = "tls_resumed",
    /// Connections that could not be opened.
    Failed = "failed",
    /// Connections that were still opening when the run ended.
    Unfinished = "unfinished",
    /// Opened connections that ended before this program closed them.
    Lost = "lost",
    /// Connections with a complete closing handshake.
    ClosedClean = "closed_clean",
    /// Connections with an incomplete closing handshake.
    Cut = "cut",
    /// TCP connects whose SYN was retransmitted.
    SynRetransmitted = "slow_syn",
    /// With `--churn`: connections whose message had a valid reply in the measured time.
    Cycles = "cycles",
    /// Messages sent, warm-up included.
    Sent = "sent",
    /// Their payload bytes.
    SentBytes = "sent_bytes",
    /// With `--fan-out`: deliveries that the sent messages require.
    Expected = "expected",
    /// Bytes that opened connections wrote to their sockets, with the handshakes and TLS.
    WireSentBytes = "wire_sent_bytes",
    /// Bytes that they read.
    WireReceivedBytes = "wire_received_bytes",
    /// Valid replies, warm-up included. Messages that were received or delivered in modes without replies.
    Replies = "replies",
    /// Their payload bytes.
    ReplyBytes = "reply_bytes",
    /// Replies in the measured time, or messages sent in it where no reply is expected. The rate is computed
    /// from these.
    InWindow = "in_window",
    /// Replies with other bytes than were sent.
    Changed = "changed",
    /// Replies with the correct bytes, as text for binary or the other way.
    WrongKind = "wrong_kind",
    /// Correct replies that arrived after the reply to a later message.
    Reordered = "reordered",
    /// Second replies to the same message.
    Repeated = "repeated",
    /// Replies with the message of another connection.
    WrongConnection = "misdelivered",
    /// Messages from the server that are no reply.
    Unsolicited = "unasked",
    /// Messages that are no reply, with `--ignore-unasked`, and replies to `--first`.
    Ignored = "ignored",
    /// Correct replies after the reply time-out. Each was counted as missing until then.
    Late = "late",
    /// Messages without a reply, from the reply time-out or the end of their connection on.
    Missing = "missing",
    /// Messages without a reply when the server closed with 1001 or 1012, sent again on another connection
    /// with `--reconnect`. Each is sent once and missing once at most.
    Resent = "resent",
    /// Messages that were due and were not sent before the end.
    Unsent = "unsent",
    /// Sent messages that had a due time in the measured time.
    Scheduled = "scheduled",
    /// Scheduled messages that were sent late because the server delayed them.
    DelayedByServer = "held_back",
    /// Scheduled messages that this program sent late.
    SentLate = "sent_late",
    /// Pings from the server. Each is answered with a Pong.
    Pings = "pings",
}

/// One number for each [`Count`], and the causes of failures.
#[derive(Debug, Clone)]
pub(crate) struct RunCounters {
    values: [u64; Count::ALL.len()],
    /// Why connections failed or were lost.
    pub(crate) causes: BTreeMap<String, CauseCount>,
}

// Arrays of more than 32 elements have no `Default` to derive from.
impl Default for RunCounters {
    fn default() -> Self {
        Self { values: [0; Count::ALL.len()], causes: BTreeMap::new() }
    }
}

/// How often a cause occurred, and what the user can do about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct CauseCount {
    pub(crate) number: u64,
    /// What the server added when it first occurred: empty, or appended to the cause.
    pub(crate) detail: String,
    pub(crate) advice: &'static str,
}

impl RunCounters {
    pub(crate) fn get(&self, count: Count) -> u64 {
        self.values[count as usize]
    }

    pub(crate) fn add(&mut self, count: Count, more: u64) {
        let value = &mut self.values[count as usize];
        *value = value.wrapping_add(more);
    }

    /// Takes back one that was counted earlier. A part of a run may then hold less than zero of `count`, as
    /// the complement, and the sum of all parts is right.
    pub(crate) fn take_back(&mut self, count: Count) {
        self.add(count, u64::MAX);
    }

    /// Adds occurrences of a cause. Their number is bounded, because a server can send any number of close
    /// reasons.
    pub(crate) fn add_cause(&mut self, reason: &str, cause: CauseCount) {
        let known = self.causes.len() < MAX_CAUSES || self.causes.contains_key(reason);
        let number = cause.number;
        let (reason, cause) = if known { (reason, cause) } else { ("other reasons", CauseCount::default()) };
        let entry = self.causes.entry(reason.to_owned()).or_insert(CauseCount { number: 0, ..cause });
        entry.number += number;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.values.iter_mut().zip(other.values) {
            *mine = mine.wrapping_add(theirs);
        }
        for (reason, cause) in &other.causes {
            self.add_cause(reason, cause.clone());
        }
    }

    /// Returns whether every attempted connection has ended in exactly one counted way. Holds at the end of a
    /// run.
    pub(crate) fn are_connections_balanced(&self) -> bool {
        let sum = |counts: [Count; 3]| counts.map(|count| self.get(count)).iter().sum::<u64>();
        self.get(Count::Attempted) == sum([Count::Opened, Count::Failed, Count::Unfinished])
            && self.get(Count::Opened) == sum([Count::ClosedClean, Count::Cut, Count::Lost])
    }

    /// Returns the number of wrong replies of all classes.
    pub(crate) fn wrong(&self) -> u64 {
        WRONG.iter().map(|(count, _)| self.get(*count)).sum()
    }

    /// Returns the number of everything that makes a run fail.
    pub(crate) fn errors(&self) -> u64 {
        faults().fold(0, |sum, (count, _)| sum.wrapping_add(self.get(count)))
    }
}

/// The classes of wrong replies, with their names in the summary.
const WRONG: [(Count, &str); 6] = [
    (Count::Changed, "changed replies"),
    (Count::WrongKind, "replies of the wrong kind"),
    (Count::Reordered, "replies out of order"),
    (Count::Repeated, "repeated replies"),
    (Count::WrongConnection, "replies for another connection"),
    (Count::Late, "late replies"),
];
/// What else makes a run fail.
const OTHER_FAULTS: [(Count, &str); 4] = [
    (Count::Missing, "missing replies"),
    (Count::Unsolicited, "unsolicited messages"),
    (Count::Failed, "failed connections"),
    (Count::Lost, "lost connections"),
];

/// Returns the classes of wrong replies, with their names in the summary.
pub(crate) fn wrong() -> impl Iterator<Item = (Count, &'static str)> {
    WRONG.into_iter()
}

/// Returns everything that makes a run fail, with its names in the summary.
pub(crate) fn faults() -> impl Iterator<Item = (Count, &'static str)> {
    WRONG.into_iter().chain(OTHER_FAULTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_bound_the_number_of_causes() {
        let mut counters = RunCounters::default();
        for n in 0..1000 {
            counters.add_cause(&format!("reason {n}"), CauseCount { number: 1, ..CauseCount::default() });
        }
        assert!(counters.causes.len() <= MAX_CAUSES + 1);
        assert_eq!(counters.causes.values().map(|cause| cause.number).sum::<u64>(), 1000);
    }

    #[test]
    fn counters_of_parts_add_up_if_one_takes_back_what_another_counted() {
        let (mut first, mut second) = (RunCounters::default(), RunCounters::default());
        first.add(Count::Missing, 2);
        second.take_back(Count::Missing);
        second.add(Count::Late, 1);
        // The reply that came late has been an error since its time-out.
        assert_eq!((first.errors(), second.errors()), (2, 0));
        first.merge(&second);
        assert_eq!((first.get(Count::Missing), first.get(Count::Late), first.errors()), (1, 1, 2));
    }

    #[test]
    fn counters_are_balanced_when_every_connection_ended_in_one_way() {
        let mut counters = RunCounters::default();
        assert!(counters.are_connections_balanced());
        for (count, number) in [
            (Count::Attempted, 21),
            (Count::Opened, 6),
            (Count::Failed, 7),
            (Count::Unfinished, 8),
            (Count::ClosedClean, 1),
            (Count::Cut, 2),
            (Count::Lost, 3),
        ] {
            counters.add(count, number);
        }
        assert!(counters.are_connections_balanced());
        for count in [Count::Attempted, Count::Cut] {
            let mut forgotten = counters.clone();
            forgotten.add(count, 1);
            assert!(!forgotten.are_connections_balanced(), "{count:?}");
        }
    }
}
