//! What a run shows, in a few sentences, the worst first.

use super::{report::Report, style::Colour};
use crate::{stats::counters::Count, text};

/// Largest number of assertions that have a row of their own. The JSON has all.
const MOST_ASSERTS: usize = 4;

/// Returns the result of the run, in one sentence.
pub(super) fn result(report: &Report) -> (Colour, String) {
    let count = |result| report.asserts.iter().filter(|asserted| asserted.result == result).count();
    let (failed, inconclusive, all) = (count("fails"), count("inconclusive"), report.asserts.len());
    if report.interrupted {
        return (Colour::Yellow, "INTERRUPTED: a signal ended the run.".into());
    }
    if let Some(found) = &report.found {
        let (colour, words) = match () {
            () if found.rate.is_none() => (Colour::Red, "FAILED"),
            () if !found.is_certain() => (Colour::Yellow, "INCONCLUSIVE"),
            () => (Colour::Green, "FOUND"),
        };
        return (colour, format!("{words}: {}.", found.words()));
    }
    if report.errors_not_named > 0 {
        return (Colour::Red, format!("FAILED: {} errors.", text::grouped(report.errors_not_named)));
    }
    if let Some(condition) = &report.aborted {
        let words =
            format!("FAILED: --abort-on {} ended the run ({}).", condition.expression, condition.seen);
        return (Colour::Red, words);
    }
    match () {
        () if failed > 0 => (Colour::Red, format!("FAILED: {failed} of {all} asserts.")),
        () if inconclusive > 0 => (Colour::Yellow, format!("INCONCLUSIVE: {inconclusive} of {all} asserts.")),
        () if report.rate_reached == Some(false) => (Colour::Red, "FAILED: the rate was not reached.".into()),
        () if report.errors > 0 => {
            (Colour::Green, format!("OK: {} errors, which an assert allows.", text::grouped(report.errors)))
        }
        () if report.is_fan_out() => (
            Colour::Green,
            "OK: every message reached every connection once, in the order of its sender.".into(),
        ),
        () if report.gap.count > 0 => (Colour::Green, "OK: no errors.".into()),
        () if report.get(Count::Replies) > 0 => {
            (Colour::Green, "OK: every message had a reply, and every reply was valid.".into())
        }
        () => (Colour::Green, "OK: no errors.".into()),
    }
}

/// Returns what makes the figures doubtful: the name of each row, and its sentences.
pub(super) fn warnings(report: &Report) -> Vec<(&'static str, String)> {
    let generator = &report.generator;
    let mut rows = Vec::new();
    // The row of the rate says that it was not reached.
    rows.extend(report.early_end().map(|words| ("WARNING", format!("{words}."))));
    if let Some(limit) = &generator.in_flight_limit {
        rows.push(("WARNING", limit.advice()));
    }
    if generator.starved {
        let waited = text::percent(generator.waited.unwrap_or_default());
        let late = text::micros(generator.loop_lateness.p99_us);
        let schedule = if generator.sent_late { ", which could not keep its schedule" } else { "" };
        rows.push((
            "WARNING",
            format!(
                "this machine had no CPU for the generator{schedule}: it waited {waited} of the time and ran up to \
                 {late} late (p99). Latencies are too long, rates too low. Stop other programs, or load from another \
                 machine."
            ),
        ));
    } else if generator.sent_late {
        rows.push((
            "WARNING",
            "the generator could not keep its schedule: these figures describe it, not the server. Raise --threads, \
             lower --rate, or use more cores."
                .into(),
        ));
    } else if generator.saturated {
        rows.push((
            "note",
            "the generator was busy all the time: the server may be faster than shown. Raise --threads."
                .into(),
        ));
    }
    if report.fan_out.as_ref().is_some_and(|room| room.same_order == Some(false)) {
        let words = "the connections did not all receive the messages of several senders in the same order.";
        rows.push(("note", words.into()));
    }
    rows.extend(report.notes.iter().map(|note| ("note", note.clone())));
    rows
}

/// Returns the rows of the assertions, those that do not hold first.
pub(super) fn asserts(report: &Report) -> Vec<(Colour, String)> {
    let of = |result: &'static str, colour: Colour| {
        report.asserts.iter().filter(move |asserted| asserted.result == result).map(move |asserted| {
            (colour, format!("{}: {} ({})", asserted.expression, asserted.result, asserted.seen))
        })
    };
    let all =
        of("fails", Colour::Red).chain(of("inconclusive", Colour::Yellow)).chain(of("holds", Colour::Green));
    let mut rows: Vec<_> = all.take(MOST_ASSERTS).collect();
    if report.asserts.len() > MOST_ASSERTS {
        rows.push((Colour::Yellow, format!("{} more, see --json", report.asserts.len() - MOST_ASSERTS)));
    }
    rows
}
