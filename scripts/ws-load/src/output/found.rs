//! The result of `--find`, in the form of the JSON and in words.

use super::report::Report;
use crate::{
    numbers,
    stats::counters::Count,
    text,
    workload::rate_search::{Round, StepResult},
};
use serde::Serialize;

/// The result is doubtful if the highest round has more than this many times the rate of the lowest one.
const LARGEST_SPREAD: f64 = 1.5;

/// The search for the highest rate that holds.
#[derive(Debug, Default, Serialize)]
pub struct Found {
    /// The conditions.
    pub conditions: Vec<String>,
    /// The highest rate that held, in messages per second: the median of the rounds. `None` if none held.
    pub rate: Option<u64>,
    /// The lowest result of a round.
    pub lowest: Option<u64>,
    /// The highest result of a round.
    pub highest: Option<u64>,
    /// In a round, the next higher rate was too much for this program, not for the server.
    pub limited_by_generator: bool,
    /// The result of each round. `None` if no rate held.
    pub rounds: Vec<Option<u64>>,
    /// All steps, in the order in which they were tried.
    pub steps: Vec<FoundStep>,
}

/// A step of the search.
#[derive(Debug, Serialize)]
pub struct FoundStep {
    /// The round that it belongs to, from 1 on.
    pub round: u32,
    /// Messages per second that were asked for.
    pub rate: u64,
    /// `holds`, `breaks` or `inconclusive`.
    pub result: &'static str,
    /// The figure that decided, or why the step did not hold.
    pub seen: String,
}

impl Found {
    /// Adds the result of a step, and returns the words for it.
    pub(crate) fn add_step(&mut self, rate: u64, (result, seen): &(StepResult, String)) -> String {
        let words = match result {
            StepResult::Holds => "holds",
            StepResult::Breaks => "breaks",
            StepResult::Inconclusive => "inconclusive",
        };
        let round = u32::try_from(self.rounds.len() + 1).unwrap_or(u32::MAX);
        self.steps.push(FoundStep { round, rate, result: words, seen: seen.clone() });
        format!("round {round}: {}/s {words} ({seen})", text::grouped(rate))
    }

    /// Adds the result of a round.
    pub(crate) fn add_round(&mut self, round: &Round) {
        self.rounds.push(round.held);
        self.limited_by_generator |= round.is_limited;
        let mut rates: Vec<u64> = self.rounds.iter().copied().flatten().collect();
        rates.sort_unstable();
        self.rate = rates.get(rates.len().saturating_sub(1) / 2).copied();
        (self.lowest, self.highest) = (rates.first().copied(), rates.last().copied());
    }

    /// Returns whether the rounds differ so much that the result says little.
    #[must_use]
    pub fn is_unsteady(&self) -> bool {
        let is_far =
            |(lowest, highest)| numbers::u64_to_f64(highest) > numbers::u64_to_f64(lowest) * LARGEST_SPREAD;
        self.lowest.zip(self.highest).is_some_and(is_far) || self.rounds.contains(&None)
    }

    /// Returns whether the result can be relied on.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.rate.is_some() && !self.limited_by_generator && !self.is_unsteady()
    }

    /// Returns the result in one sentence.
    #[must_use]
    pub fn words(&self) -> String {
        let conditions = self.conditions.join(" and ");
        let (Some(rate), Some(lowest), Some(highest)) = (self.rate, self.lowest, self.highest) else {
            return format!("{conditions} holds at no rate");
        };
        let [rate, lowest, highest] = [rate, lowest, highest].map(text::grouped);
        let spread = match self.rounds.len() {
            1 => "in one round".to_owned(),
            rounds => format!("{lowest} to {highest} in {rounds} rounds"),
        };
        let limit = match () {
            () if self.is_unsteady() => {
                "; the rounds differ too much: the server or this machine is not steady"
            }
            () if self.limited_by_generator => "; above it this program is the limit, not the server",
            () => "",
        };
        format!("{conditions} holds up to {rate} messages/s ({spread}){limit}")
    }
}

impl Report {
    /// Returns whether the run of a step holds its conditions, and the figure or the fault that decides.
    pub(crate) fn step_result(&self) -> (StepResult, String) {
        let generator = &self.generator;
        let not_held = self.asserts.iter().find(|asserted| asserted.result != "holds");
        let seen =
            |asserted: &super::report::AssertResult| format!("{} is {}", asserted.expression, asserted.seen);
        if self.errors_not_named > 0 {
            let most = self.reasons.iter().max_by_key(|(_, number)| **number);
            let reason = most.map(|(reason, _)| format!(", {reason}")).unwrap_or_default();
            return (StepResult::Breaks, format!("{} errors{reason}", text::grouped(self.errors_not_named)));
        }
        if let Some(failed) = self.asserts.iter().find(|asserted| asserted.result == "fails") {
            return (StepResult::Breaks, seen(failed));
        }
        let is_own_limit =
            !generator.kept_schedule || generator.starved || (generator.saturated && self.lags());
        match not_held {
            _ if is_own_limit && (not_held.is_some() || self.lags()) => {
                (StepResult::Inconclusive, self.own_limit())
            }
            Some(asserted) => (StepResult::Inconclusive, seen(asserted)),
            None if self.lags() => {
                let unsent = text::grouped(self.get(Count::Unsent));
                (StepResult::Breaks, format!("the rate was not reached, {unsent} messages were not sent"))
            }
            None => {
                let all: Vec<_> = self.asserts.iter().map(|asserted| asserted.seen.clone()).collect();
                (StepResult::Holds, all.join(", "))
            }
        }
    }

    fn lags(&self) -> bool {
        self.rate_reached == Some(false)
    }

    /// Returns why this program was the limit, and what to do.
    fn own_limit(&self) -> String {
        match &self.generator.in_flight_limit {
            Some(limit) => limit.advice(),
            None if self.generator.starved => "no CPU for the generator".into(),
            None => "the generator is the limit: raise --threads, or use more cores".into(),
        }
    }
}
