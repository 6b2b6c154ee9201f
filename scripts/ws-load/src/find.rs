//! Searches for the highest rate at which conditions hold: `--find`. Each step is a run of its own.

use crate::{
    commands::{self, Completed},
    error::LoadError,
    output::{found::Found, report::Report},
    workload::{
        cli::LoadArgs,
        plan::Plan,
        rate_search::{Attempts, Round, StepResult},
    },
};
use crossbeam_channel::Receiver;
use std::collections::BTreeMap;

/// The first rate without `--rate`, in messages per second.
const FIRST_RATE: u64 = 1000;

/// Runs steps at different rates until the highest one is known at which the conditions of `args.find` hold,
/// or until `stop` receives a message. The report is that of the step at this rate, and of the last step if
/// none holds.
///
/// # Errors
///
/// Returns an error if a step cannot start or cannot finish.
pub fn find(args: &LoadArgs, stop: &Receiver<()>) -> Result<Completed, LoadError> {
    let conditions = args.find.iter().map(ToString::to_string).collect();
    let mut search = Search { args, stop, found: Found { conditions, ..Found::default() }, last: None };
    let mut held = BTreeMap::new();
    let mut start = args.rate.unwrap_or(FIRST_RATE);
    for number in 0..args.find_rounds {
        let round = if number == 0 { Round::first(start) } else { Round::again(start) };
        let (round, report) = search.run_round(round)?;
        if search.is_interrupted() {
            break;
        }
        search.found.add_round(&round);
        if let Some((rate, report)) = round.held.zip(report) {
            held.insert(rate, report);
            start = rate;
        }
    }
    let Search { found, last, .. } = search;
    let best = found.rate.and_then(|rate| held.remove(&rate));
    let is_interrupted = last.as_ref().is_some_and(|report| report.interrupted);
    let Some(mut report) = best.or(last) else {
        return Err(LoadError::Usage("--find needs at least one round".into()));
    };
    report.interrupted |= is_interrupted;
    report.found = Some(found);
    Ok(commands::complete(report, &args.output))
}

struct Search<'a> {
    args: &'a LoadArgs,
    stop: &'a Receiver<()>,
    found: Found,
    /// The last step.
    last: Option<Report>,
}

impl Search<'_> {
    fn is_interrupted(&self) -> bool {
        self.last.as_ref().is_some_and(|report| report.interrupted)
    }

    /// Runs the steps of a round. Returns also the report of the highest rate that held.
    fn run_round(&mut self, mut round: Round) -> Result<(Round, Option<Report>), LoadError> {
        let mut best = None;
        while let Some(rate) = round.next() {
            let mut attempts = Attempts::default();
            while attempts.result().is_none() {
                let report = self.run_step(rate)?;
                if report.interrupted {
                    self.last = Some(report);
                    return Ok((round, best));
                }
                let result = report.step_result();
                let words = self.found.add_step(rate, &result);
                if !self.args.output.quiet {
                    eprintln!("ws-load: {words}");
                }
                attempts.note(result.0);
                let replaced = if result.0 == StepResult::Holds { &mut best } else { &mut self.last };
                *replaced = Some(report);
            }
            attempts.result().into_iter().for_each(|result| round.note(result));
        }
        Ok((round, best))
    }

    fn run_step(&self, rate: u64) -> Result<Report, LoadError> {
        let mut args = self.args.clone();
        args.rate = Some(rate);
        args.output.asserts.extend(args.find.iter().cloned());
        commands::measure(Plan::new(args)?, self.stop)
    }
}
