//! What is counted and measured. Each thread writes into a [`Recorder`] of its own and hands it over once a second, so
//! nothing is shared while messages flow, and memory does not grow with the run.

use super::numbers;
use hdrhistogram::Histogram;
use std::{collections::BTreeMap, time::Duration};

/// Values below this are not told apart: 128 ns, far below what a clock call costs.
const FINEST: u64 = 128;
/// The longest time that is told from longer ones: one hour.
const LONGEST: u64 = 3_600_000_000_000;
/// Three significant digits: every value is right to 0.1 %.
const DIGITS: u8 = 3;
/// How many different reasons for failed connections are kept by name; the rest share one.
const MAX_REASONS: usize = 24;

/// Defines [`Count`] with the stable name of each entry, as the JSON shows it.
macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Everything that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Count { $($(#[$doc])* $name,)* }

        impl Count {
            /// All of them, in the order of the report.
            pub(super) const ALL: &'static [Count] = &[$(Count::$name,)*];

            /// The stable name, as in the JSON and in `--assert`.
                pub(super) fn name(self) -> &'static str {
                match self { $(Count::$name => $text,)* }
            }
        }
    };
}

counts! {
    /// Connections that were begun.
    Attempted = "attempted",
    /// Connections whose TCP handshake was done.
    Connected = "connected",
    /// Connections that became a WebSocket.
    Opened = "opened",
    /// Those of them that agreed to permessage-deflate.
    Compressed = "compressed",
    /// Connections that never became a WebSocket.
    Failed = "failed",
    /// Connections that were still opening when the run ended.
    Unfinished = "unfinished",
    /// Open connections that ended without our asking.
    Lost = "lost",
    /// Connections closed by a complete closing handshake.
    ClosedClean = "closed_clean",
    /// Connections whose closing handshake was not complete in time.
    Cut = "cut",
    /// TCP connects so slow that a SYN must have been sent again.
    SlowSyn = "slow_syn",
    /// Connect, echo, close: done, once each.
    Cycles = "cycles",
    /// Messages sent, warm-up included.
    Sent = "sent",
    /// Their payload bytes.
    SentBytes = "sent_bytes",
    /// Right replies, warm-up included.
    Replies = "replies",
    /// Their payload bytes.
    ReplyBytes = "reply_bytes",
    /// Right replies that came inside the measured time; the rate comes from these.
    InWindow = "in_window",
    /// Replies whose bytes differ from what was sent.
    Changed = "changed",
    /// Replies with the right bytes, as text for binary or the other way.
    WrongKind = "wrong_kind",
    /// Right replies that a later message's reply overtook.
    Reordered = "reordered",
    /// Replies to a message that had its reply already.
    Repeated = "repeated",
    /// Replies that carry another connection's message.
    Misdelivered = "misdelivered",
    /// Messages from the server that are no reply at all.
    Unasked = "unasked",
    /// Right replies after the reply time-out.
    Late = "late",
    /// Messages that never had a reply.
    Missing = "missing",
    /// Messages that were due and could not be sent before the end.
    Unsent = "unsent",
    /// Messages with a due time that were sent.
    Scheduled = "scheduled",
    /// Those of them that were sent late because the server held them up.
    HeldBack = "held_back",
    /// Those that the generator itself sent late.
    SentLate = "sent_late",
    /// Pings from the server; each is answered.
    Pings = "pings",
}

/// One number for each [`Count`].
#[derive(Debug, Clone, Default)]
pub(super) struct Counters {
    values: [u64; Count::ALL.len()],
    /// Why connections failed or were lost.
    pub(super) reasons: BTreeMap<String, Blame>,
}

/// How often a reason was given, and what a user can do about it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Blame {
    pub(super) number: u64,
    pub(super) advice: &'static str,
}

impl Counters {
    /// The number for `count`.
    pub(super) fn get(&self, count: Count) -> u64 {
        self.values[count as usize]
    }

    pub(super) fn add(&mut self, count: Count, more: u64) {
        self.values[count as usize] += more;
    }

    /// Notes why a connection failed. Servers can make up reasons without end, so their number is bounded.
    pub(super) fn blame(&mut self, reason: &str, blame: Blame) {
        let known = self.reasons.len() < MAX_REASONS || self.reasons.contains_key(reason);
        let (reason, advice) = if known { (reason, blame.advice) } else { ("other reasons", "") };
        let entry = self.reasons.entry(reason.to_owned()).or_insert(Blame { number: 0, advice });
        entry.number += blame.number;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.values.iter_mut().zip(other.values) {
            *mine += theirs;
        }
        for (reason, blame) in &other.reasons {
            self.blame(reason, *blame);
        }
    }

    /// Returns whether every attempted connection has ended in exactly one counted way. Holds at the end of a run.
    pub(super) fn are_connections_balanced(&self) -> bool {
        let sum = |counts: [Count; 3]| counts.map(|count| self.get(count)).iter().sum::<u64>();
        self.get(Count::Attempted) == sum([Count::Opened, Count::Failed, Count::Unfinished])
            && self.get(Count::Opened) == sum([Count::ClosedClean, Count::Cut, Count::Lost])
    }

    /// Replies that are not what was asked for.
    pub(super) fn wrong(&self) -> u64 {
        WRONG.iter().map(|(count, _)| self.get(*count)).sum()
    }

    /// Everything that makes a run fail: wrong, unasked and missing replies, connections failed or lost.
    pub(super) fn errors(&self) -> u64 {
        faults().map(|(count, _)| self.get(count)).sum()
    }
}

/// Replies that are wrong, each in its way, and the words for it.
const WRONG: [(Count, &str); 6] = [
    (Count::Changed, "changed replies"),
    (Count::WrongKind, "replies of the wrong kind"),
    (Count::Reordered, "replies out of order"),
    (Count::Repeated, "repeated replies"),
    (Count::Misdelivered, "misdelivered replies"),
    (Count::Late, "late replies"),
];
/// Whatever else makes a run fail.
const OTHER_FAULTS: [(Count, &str); 4] = [
    (Count::Missing, "missing replies"),
    (Count::Unasked, "unasked messages"),
    (Count::Failed, "failed connections"),
    (Count::Lost, "lost connections"),
];

/// Everything that makes a run fail, with the words for it.
pub(super) fn faults() -> impl Iterator<Item = (Count, &'static str)> {
    WRONG.into_iter().chain(OTHER_FAULTS)
}

/// Every duration that has a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    /// From the moment the message should have been sent to its reply.
    Corrected,
    /// From the moment it was really sent.
    Raw,
    /// TCP connect.
    Connect,
    /// TLS handshake.
    Tls,
    /// WebSocket handshake: request sent to 101 read.
    Handshake,
    /// All of these: from the moment a connection was due to its being open.
    Opening,
    /// With `--churn`: from the moment a connection was due to the reply to its message.
    Cycle,
    /// How late the generator itself was in sending.
    Lateness,
}

impl Metric {
    /// All of them.
    pub(super) const ALL: [Self; 8] = [
        Self::Corrected,
        Self::Raw,
        Self::Connect,
        Self::Tls,
        Self::Handshake,
        Self::Opening,
        Self::Cycle,
        Self::Lateness,
    ];
}

/// An empty histogram with this program's bounds, in nanoseconds.
#[allow(clippy::expect_used, reason = "the bounds are constants, and a test makes one")]
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(FINEST, LONGEST, DIGITS).expect("the bounds are valid")
}

/// Counters and histograms of one thread, or of all.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    /// The counters.
    pub(super) counters: Counters,
    histograms: Vec<Histogram<u64>>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { counters: Counters::default(), histograms: Metric::ALL.iter().map(|_| histogram()).collect() }
    }

    pub(super) fn count(&mut self, count: Count) {
        self.counters.add(count, 1);
    }

    pub(super) fn record(&mut self, metric: Metric, duration: Duration) {
        self.histograms[metric as usize].saturating_record(numbers::nanos(duration));
    }

    /// The histogram of `metric`, in nanoseconds.
    pub(super) fn histogram(&self, metric: Metric) -> &Histogram<u64> {
        &self.histograms[metric as usize]
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.counters.merge(&other.counters);
        for (metric, theirs) in Metric::ALL.iter().zip(&other.histograms) {
            self.merge_histogram(*metric, theirs);
        }
    }

    /// Adds a histogram with any bounds to that of `metric`.
    pub(super) fn merge_histogram(&mut self, metric: Metric, theirs: &Histogram<u64>) {
        let mine = &mut self.histograms[metric as usize];
        if !theirs.is_empty() && mine.add(theirs).is_err() {
            // Only a histogram read from a file can reach beyond our bounds.
            for value in theirs.iter_recorded() {
                mine.saturating_record_n(value.value_iterated_to(), value.count_since_last_iteration());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_has_the_bounds_it_is_asked_for() {
        assert_eq!((histogram().low(), histogram().high()), (FINEST, LONGEST));
    }

    #[test]
    fn percentiles_agree_with_a_sorted_list() {
        // Random durations over seven orders of magnitude, each found again within the promised 0.1 %.
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let mut sorted: Vec<u64> =
            (0..20_000).map(|_| 1000 + random() % 10_u64.pow(4 + (random() % 7) as u32)).collect();
        let mut recorder = Recorder::new();
        for value in &sorted {
            recorder.record(Metric::Corrected, Duration::from_nanos(*value));
        }
        sorted.sort_unstable();
        for percent in [1.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0] {
            let rank = (percent / 100.0 * 20_000.0_f64).ceil().max(1.0);
            let exact = sorted[numbers::narrow(numbers::count(rank)) - 1];
            let found = recorder.histogram(Metric::Corrected).value_at_percentile(percent);
            let error = found.abs_diff(exact);
            assert!(error <= exact / 1000 + FINEST, "p{percent}: {found} for {exact}");
        }
    }

    #[test]
    fn merged_parts_equal_the_whole() {
        let (mut whole, mut one, mut two) = (Recorder::new(), Recorder::new(), Recorder::new());
        for n in 0..5000_u64 {
            let duration = Duration::from_nanos(n * n * 37 + 500);
            whole.record(Metric::Raw, duration);
            whole.count(Count::Replies);
            let part = if n % 3 == 0 { &mut one } else { &mut two };
            part.record(Metric::Raw, duration);
            part.count(Count::Replies);
        }
        one.merge(&two);
        assert_eq!(one.histogram(Metric::Raw), whole.histogram(Metric::Raw));
        assert_eq!(one.counters.get(Count::Replies), 5000);
    }

    #[test]
    fn reasons_are_bounded() {
        let mut counters = Counters::default();
        for n in 0..1000 {
            counters.blame(&format!("reason {n}"), Blame { number: 1, advice: "" });
        }
        assert!(counters.reasons.len() <= MAX_REASONS + 1);
        assert_eq!(counters.reasons.values().map(|blame| blame.number).sum::<u64>(), 1000);
    }
}
