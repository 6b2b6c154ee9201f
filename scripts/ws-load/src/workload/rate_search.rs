//! The search for the highest rate that holds: `--find`. Decides which rate is tried next.

use crate::numbers;

/// Factor between the first rates, until the bound breaks.
const FIRST_FACTOR: f64 = 2.0;
/// The same in later rounds, which begin with the result of the one before. It is squared with each further
/// step.
const LATER_FACTOR: f64 = 1.1;
/// The search ends when a rate that holds and one that breaks differ by at most this factor.
const PRECISION: f64 = 1.05;
/// Largest number of steps of a round.
const MAX_STEPS: u32 = 40;
/// Largest rate.
const MAX_RATE: u64 = 100_000_000;

/// What a step has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepResult {
    Holds,
    Breaks,
    /// This program was the limit, not the server.
    Inconclusive,
}

/// The attempts at one rate. A single one that does not hold can be chance: it is repeated, and if the second one
/// holds, a third one decides.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Vec<StepResult>);

impl Attempts {
    pub(crate) fn note(&mut self, result: StepResult) {
        self.0.push(result);
    }

    /// Returns the result, or `None` if another attempt is needed.
    pub(crate) fn result(&self) -> Option<StepResult> {
        use StepResult::{Breaks, Holds, Inconclusive};
        let count = |wanted| self.0.iter().filter(|result| **result == wanted).count();
        let failed = if count(Breaks) > 0 { Breaks } else { Inconclusive };
        match (self.0.first()?, count(Holds), self.0.len()) {
            (Holds, ..) | (_, 2, _) => Some(Holds),
            (_, holds, attempts) if attempts - holds == 2 => Some(failed),
            _ => None,
        }
    }
}

/// One round: steps until the bound breaks, then bisects.
#[derive(Debug)]
pub(crate) struct Round {
    /// The highest rate that held.
    pub(crate) held: Option<u64>,
    /// The lowest rate above it that did not.
    broke: Option<u64>,
    /// That step was inconclusive.
    pub(crate) is_limited: bool,
    next: u64,
    factor: f64,
    steps: u32,
}

impl Round {
    /// Creates the first round.
    pub(crate) fn first(rate: u64) -> Self {
        Self::starting(rate, FIRST_FACTOR)
    }

    /// Creates a round that begins with the result of an earlier one.
    pub(crate) fn again(rate: u64) -> Self {
        Self::starting(rate, LATER_FACTOR)
    }

    fn starting(rate: u64, factor: f64) -> Self {
        Self { held: None, broke: None, is_limited: false, next: rate.max(1), factor, steps: 0 }
    }

    /// Returns the next rate, or `None` if the round is over.
    pub(crate) fn next(&self) -> Option<u64> {
        let is_exact = self.held.zip(self.broke).is_some_and(|(held, broke)| {
            numbers::u64_to_f64(broke) <= numbers::u64_to_f64(held) * PRECISION || broke <= held + 1
        });
        let is_at_end = self.held == Some(MAX_RATE) || self.broke == Some(1);
        (!is_exact && !is_at_end && self.steps < MAX_STEPS).then_some(self.next)
    }

    /// Notes the result of a step at the rate that [`Round::next`] returned.
    pub(crate) fn note(&mut self, result: StepResult) {
        let rate = self.next;
        self.steps += 1;
        if result == StepResult::Holds {
            self.held = Some(rate);
        } else {
            self.broke = Some(rate);
            self.is_limited = result == StepResult::Inconclusive;
        }
        let exact = numbers::u64_to_f64(rate);
        let next = match (self.held, self.broke) {
            (Some(held), Some(broke)) => {
                numbers::f64_to_u64((numbers::u64_to_f64(held) * numbers::u64_to_f64(broke)).sqrt().round())
                    .clamp(held + 1, broke.saturating_sub(1).max(held + 1))
            }
            (Some(_), None) => numbers::f64_to_u64((exact * self.factor).ceil()),
            (None, _) => numbers::f64_to_u64((exact / self.factor).floor()),
        };
        if self.held.is_none() || self.broke.is_none() {
            self.factor = (self.factor * self.factor).min(FIRST_FACTOR);
        }
        self.next = next.clamp(1, MAX_RATE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a round against a server that holds up to `limit`. Returns its result and the number of steps.
    fn result(mut round: Round, limit: u64) -> (Option<u64>, u32) {
        while let Some(rate) = round.next() {
            round.note(if rate <= limit { StepResult::Holds } else { StepResult::Breaks });
        }
        (round.held, round.steps)
    }

    #[test]
    fn rate_search_finds_the_limit_to_five_percent() {
        for limit in [1, 2, 9, 41, 999, 1000, 1001, 40_000, 5_000_000, MAX_RATE] {
            for round in [Round::first(1000), Round::again(limit), Round::again(limit * 2)] {
                let (held, steps) = result(round, limit);
                let held = held.expect("a rate that holds");
                assert!(held <= limit && held * 105 / 100 + 1 >= limit, "{held} of {limit}");
                assert!(steps < MAX_STEPS, "{steps} steps for {limit}");
            }
        }
        let (held, steps) = result(Round::again(40_000), 41_000);
        assert!(held.is_some() && steps <= 5, "{steps} steps to find the same again");
    }

    #[test]
    fn rate_search_repeats_what_does_not_hold() {
        use StepResult::{Breaks, Holds, Inconclusive};
        for (attempts, result) in [
            (&[][..], None),
            (&[Holds], Some(Holds)),
            (&[Breaks], None),
            (&[Breaks, Breaks], Some(Breaks)),
            (&[Inconclusive, Inconclusive], Some(Inconclusive)),
            (&[Inconclusive, Breaks], Some(Breaks)),
            (&[Breaks, Holds], None),
            (&[Breaks, Holds, Holds], Some(Holds)),
            (&[Inconclusive, Holds, Inconclusive], Some(Inconclusive)),
        ] {
            assert_eq!(Attempts(attempts.to_vec()).result(), result, "{attempts:?}");
        }
    }

    #[test]
    fn rate_search_ends_if_no_rate_holds() {
        assert_eq!(result(Round::first(1000), 0).0, None);
    }

    #[test]
    fn rate_search_notes_that_the_generator_is_the_limit() {
        let mut round = Round::first(1000);
        while let Some(rate) = round.next() {
            round.note(if rate <= 3000 { StepResult::Holds } else { StepResult::Inconclusive });
        }
        assert!(round.is_limited && round.held.is_some());
    }
}
