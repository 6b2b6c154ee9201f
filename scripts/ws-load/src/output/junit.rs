//! The results as `JUnit` XML, which CI systems show: a test case for the errors, and one for each assertion.

use super::report::Report;
use crate::{
    stats::counters::faults,
    text::{self, escape},
};

/// Returns the whole file.
pub(crate) fn suite(report: &Report) -> String {
    let cases = cases(report);
    let failures = cases.iter().filter(|(_, failure)| failure.is_some()).count();
    let body: String = cases.iter().map(|(name, failure)| case(name, failure.as_ref())).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"ws-load\" tests=\"{0}\" \
         failures=\"{failures}\">\n\
         \x20 <testsuite name=\"{1}\" tests=\"{0}\" failures=\"{failures}\" errors=\"0\" \
         time=\"{2:.3}\" timestamp=\"{3}\">\n\
         {body}  </testsuite>\n</testsuites>\n",
        cases.len(),
        attribute(&report.url),
        report.measured_seconds.unwrap_or_default(),
        attribute(&report.started),
    )
}

/// The kind of a failure, and its words.
type Failure = (&'static str, String);

/// Returns the test cases, with their failures.
fn cases(report: &Report) -> Vec<(String, Option<Failure>)> {
    let seen: Vec<String> = faults()
        .filter(|(count, _)| report.get(*count) > 0)
        .map(|(count, words)| format!("{} {}", text::grouped(report.get(count)), report.fault_name(words)))
        .chain(
            report.reasons.iter().map(|(reason, number)| format!("{number} × {}", report.detailed(reason))),
        )
        .collect();
    let errors = (report.errors_not_named > 0).then(|| ("errors", seen.join(", ")));
    let mut cases = vec![("errors".to_owned(), errors)];
    if report.interrupted {
        cases.push(("runs to its end".into(), Some(("interrupted", "a signal ended the run".into()))));
    }
    if let Some(condition) = &report.aborted {
        let words = format!("{} ({})", condition.expression, condition.seen);
        cases.push(("runs to its end".into(), Some(("aborted", words))));
    }
    if let Some(words) = report.unreached_rate() {
        cases.push(("reaches its rate".into(), Some(("rate", words))));
    }
    for asserted in &report.asserts {
        let failure = (asserted.result != "holds")
            .then(|| (asserted.result, format!("{} ({})", asserted.expression, asserted.seen)));
        cases.push((asserted.expression.clone(), failure));
    }
    cases
}

fn case(name: &str, failure: Option<&Failure>) -> String {
    let name = attribute(name);
    match failure {
        None => format!("    <testcase classname=\"ws-load\" name=\"{name}\"/>\n"),
        Some((kind, words)) => format!(
            "    <testcase classname=\"ws-load\" name=\"{name}\"><failure type=\"{kind}\" \
             message=\"{}\"/></testcase>\n",
            attribute(words)
        ),
    }
}

/// Escapes the value of an attribute. XML has no control characters.
fn attribute(text: &str) -> String {
    escape(&text.replace(char::is_control, " "))
}
