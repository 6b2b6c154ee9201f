//! What a run shows, in a few sentences, the worst first.

use super::{generator::Generator, report::Report, style::Colour, verdict::WAITED_SHARE};
use crate::{stats::counters::Count, text};

/// Largest number of assertions that have a row of their own. The JSON has all.
const MOST_ASSERTS: usize = 4;
/// Threads that work less than this share of their time are not late because of their own work.
const MOSTLY_IDLE: f64 = 0.5;

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
        let words = match restart(report) {
            Some(words) => format!("FAILED: {words} If that was planned, {}.", restart_asserts(report)),
            None => format!("FAILED: {} errors.", text::grouped(report.errors_not_named)),
        };
        return (Colour::Red, words);
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
        () if report.errors > 0 && restart(report).is_some() => {
            (Colour::Green, format!("OK: {}", restart(report).unwrap_or_default()))
        }
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
    if generator.starved || generator.sent_late {
        rows.push(("WARNING", delays(generator)));
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

/// Returns what a restart of the server did, if `--reconnect` opened all lost connections again and there are
/// no other errors.
fn restart(report: &Report) -> Option<String> {
    let [lost, again, failed] =
        [Count::Lost, Count::Reconnected, Count::Failed].map(|count| report.get(count));
    if again == 0 || again != lost || report.errors != lost + failed {
        return None;
    }
    let failed = match failed {
        0 => String::new(),
        _ => format!(" after {} failed attempts", text::grouped(failed)),
    };
    Some(format!("nothing missing; {} connections lost and opened again{failed}.", text::grouped(lost)))
}

/// Returns the asserts that allow a restart.
fn restart_asserts(report: &Report) -> &'static str {
    if report.get(Count::Failed) > 0 {
        "add --assert 'lost>=0' --assert 'failed>=0'"
    } else {
        "add --assert 'lost>=0'"
    }
}

/// Returns how late this program was, why, and what to do.
fn delays(generator: &Generator) -> String {
    let loops = text::micros(generator.loop_lateness.p99_us);
    let waited = generator.waited.filter(|waited| *waited >= WAITED_SHARE).filter(|_| generator.starved);
    let has_time = generator.busy.is_some_and(|busy| busy < MOSTLY_IDLE);
    let advice = "Latencies are too long: stop other programs, or use another machine.";
    match (waited, generator.sent_late) {
        (Some(waited), is_late) => format!(
            "this machine had no CPU for the generator{}: it waited {} of the time and was {loops} late (p99). \
             {advice}",
            if is_late { ", which could not keep its schedule" } else { "" },
            text::percent(waited),
        ),
        (None, true) if has_time => format!(
            "the generator could not keep its schedule: its threads woke up {} late (p99), because other \
             programs or the host used the processors. {advice}",
            text::micros(generator.lateness.p99_us),
        ),
        (None, true) => {
            "the generator could not keep its schedule: these figures describe it, not the server. \
                         Raise --threads, lower --rate, or use more cores."
                .into()
        }
        (None, false) => format!(
            "threads of the generator woke up {loops} late (p99), because other programs or the host used the \
             processors. {advice}"
        ),
    }
}

/// Returns the rows of the assertions, those that do not hold first. Those that hold have one row if
/// `is_short`.
pub(super) fn asserts(report: &Report, is_short: bool) -> Vec<(Colour, String)> {
    let of = |result: &'static str, colour: Colour| {
        report.asserts.iter().filter(move |asserted| asserted.result == result).map(move |asserted| {
            (colour, format!("{}: {} ({})", asserted.expression, asserted.result, asserted.seen))
        })
    };
    let all =
        of("fails", Colour::Red).chain(of("inconclusive", Colour::Yellow)).chain(of("holds", Colour::Green));
    let held = report.asserts.iter().filter(|asserted| asserted.result == "holds").count();
    if is_short && held > 1 {
        let mut rows: Vec<_> = all.take((report.asserts.len() - held).min(MOST_ASSERTS)).collect();
        rows.push((Colour::Green, format!("{held} others hold")));
        return rows;
    }
    let mut rows: Vec<_> = all.take(MOST_ASSERTS).collect();
    if report.asserts.len() > MOST_ASSERTS {
        rows.push((Colour::Yellow, format!("{} more, see --json", report.asserts.len() - MOST_ASSERTS)));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::recorder::Recorder;

    #[test]
    fn warning_about_delays_names_their_cause() {
        let words = |starved, sent_late, waited, busy| {
            let mut generator = Generator::of(&Recorder::new());
            (generator.starved, generator.sent_late) = (starved, sent_late);
            (generator.waited, generator.busy) = (Some(waited), Some(busy));
            (generator.lateness.p99_us, generator.loop_lateness.p99_us) = (Some(4_000.0), Some(3_000.0));
            delays(&generator)
        };
        // Late although it had little to do.
        let late = words(false, true, 0.05, 0.1);
        assert!(late.contains("woke up 4.00 ms late") && !late.contains("--threads"), "{late}");
        assert!(words(false, true, 0.05, 0.9).contains("Raise --threads"));
        // With --hold a thread waits seldom.
        let held = words(true, false, 0.01, 0.1);
        assert!(held.contains("woke up 3.00 ms late") && !held.contains('%'), "{held}");
        assert!(words(true, false, 0.4, 0.1).contains("it waited 40 % of the time"));
    }
}
