//! The numbers of an assertion: a count, or a sum of counts.

use super::counters::{Count, RunCounters, faults, wrong};

/// A number that an assertion compares, by itself or as a part of a ratio.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Count(Count),
    Errors,
    Wrong,
}

impl Number {
    pub(super) fn of(self, counters: &RunCounters) -> u64 {
        match self {
            Self::Count(count) => counters.get(count),
            Self::Errors => counters.errors(),
            Self::Wrong => counters.wrong(),
        }
    }

    /// Returns the counts that it is the sum of.
    pub(super) fn counts(self) -> Vec<Count> {
        match self {
            Self::Count(count) => vec![count],
            Self::Errors => faults().map(|(count, _)| count).collect(),
            Self::Wrong => wrong().map(|(count, _)| count).collect(),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "errors" => Some(Self::Errors),
            "wrong" => Some(Self::Wrong),
            _ => Some(Self::Count(*Count::ALL.iter().find(|count| count.name() == text)?)),
        }
    }
}
