//! The report as one HTML page without scripts, and without references to other files.

use super::{
    conclusions,
    report::Report,
    series::SeriesPoint,
    style::Colour,
    svg::{self, Axis, ChartLine},
};
use crate::{
    numbers,
    stats::{
        counters::{Count, faults},
        histogram_rows::histogram_rows,
        recorder::Metric,
    },
    text::{self, escape},
};
use hdrhistogram::Histogram;
use std::fmt::Write;

/// Number of points of the percentile curve.
const CURVE: u32 = 160;
/// Number of steps of the latency histogram.
const HISTOGRAM_STEPS: usize = 30;

const STYLE: &str = include_str!("report.css");

/// Returns the whole page.
pub(crate) fn page(report: &Report) -> String {
    let url = escape(&report.url);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{url}: load report</title><style>{STYLE}</style></head><body><main>\
         <h1>{url}</h1><p class=\"sub\">{}, {} measured{}, ended {}</p>",
        escape(&report.tool),
        text::micros(report.measured_seconds.map(|seconds| seconds * 1e6)),
        if report.interrupted || report.aborted.is_some() { ", ended early" } else { "" },
        escape(&report.ended),
    );
    page.push_str(&conclusions(report));
    page.push_str(&cards(report));
    page.push_str("<section class=\"charts\">");
    page.push_str(&charts(report));
    page.push_str("</section>");
    page.push_str(&latencies(report));
    page.push_str("<section class=\"tables\">");
    page.push_str(&errors(report));
    page.push_str(&counts(report));
    page.push_str(&table(
        "Options",
        report.options.iter().map(|(name, value)| (name.clone(), value.clone())),
    ));
    page.push_str(&table("Generator", generator(report).into_iter()));
    page.push_str("</section></main></body></html>\n");
    page
}

/// Returns the conclusions, which the page begins with.
fn conclusions(report: &Report) -> String {
    let mut html = String::new();
    let mut line = |class: &str, words: &str| {
        let _ = write!(html, "<p class=\"verdict {class}\">{}</p>", escape(words));
    };
    let (colour, words) = conclusions::result(report);
    line(if colour == Colour::Green { "good" } else { "bad" }, &words);
    if let Some(unreached) = report.unreached_rate() {
        line("bad", &format!("{}.", text::capitalized(&unreached)));
    }
    for (name, words) in conclusions::warnings(report) {
        line(if name == "note" { "note" } else { "bad" }, &text::capitalized(&words));
    }
    for asserted in &report.asserts {
        let class = if asserted.result == "holds" { "good" } else { "bad" };
        line(class, &format!("{}: {} ({})", asserted.expression, asserted.result, asserted.seen));
    }
    html
}

fn cards(report: &Report) -> String {
    let requested = report
        .rate_asked
        .map_or("messages/s".to_owned(), |rate| format!("messages/s of {} requested", text::grouped(rate)));
    let (latency, metric) = report.main_histogram();
    let main = if metric == Metric::Gap { &report.gap } else { &report.corrected };
    let cards = [
        (report.rate.map_or("–".to_owned(), |rate| text::grouped(numbers::f64_to_u64(rate))), requested),
        (text::micros(main.p50_us), format!("median {latency}")),
        (text::micros(main.p99_us), format!("p99 {latency}")),
        (text::grouped(report.errors), "errors".into()),
    ];
    let cards = cards.iter().fold(String::new(), |mut html, (value, name)| {
        let _ = write!(html, "<div><b>{}</b><span>{}</span></div>", escape(value), escape(name));
        html
    });
    format!("<section class=\"cards\">{cards}</section>")
}

fn charts(report: &Report) -> String {
    let mut html = String::new();
    let [corrected, raw] = [Metric::Corrected, Metric::Raw].map(|metric| report.total.histogram(metric));
    if !corrected.is_empty() {
        let lines = [("corrected", "a", corrected), ("raw", "b", raw)];
        let lines = lines.map(|(name, class, histogram)| ChartLine { name, class, points: curve(histogram) });
        let x = Axis::percentiles(corrected.len(), "percentile");
        html.push_str(&svg::chart("Latency by percentile", &x, &latency_axis(&lines, "latency"), &lines));
        html.push_str(&latency_histogram("corrected latency", corrected));
    }
    let gap = report.total.histogram(Metric::Gap);
    if !gap.is_empty() {
        let line = ChartLine { name: "gap", class: "a", points: curve(gap) };
        let x = Axis::percentiles(gap.len(), "percentile");
        let lines = [line];
        html.push_str(&svg::chart(
            "Gap between messages by percentile",
            &x,
            &latency_axis(&lines, "gap"),
            &lines,
        ));
        html.push_str(&latency_histogram("gap", gap));
    }
    if report.series.len() > 1 {
        let end = report.series.iter().map(|point| point.start_seconds + point.seconds).fold(0.0, f64::max);
        let x = Axis::seconds(end, "seconds");
        let rate = over_time(report, "rate", "a", |point| Some(point.rate));
        let y = Axis::linear(rate.points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max), "rate");
        html.push_str(&svg::chart("Messages per second over time", &x, &y, &[rate]));
        let lines = [
            over_time(report, "max", "c", |point| point.max_us.map(|micros| micros * 1e3)),
            over_time(report, "p99", "a", |point| point.p99_us.map(|micros| micros * 1e3)),
            over_time(report, "p50", "b", |point| point.p50_us.map(|micros| micros * 1e3)),
        ];
        if lines.iter().any(|line| !line.points.is_empty()) {
            let (name, _) = report.main_histogram();
            html.push_str(&svg::chart(
                &format!("{} over time", text::capitalized(name)),
                &x,
                &latency_axis(&lines, "latency"),
                &lines,
            ));
        }
        if report.errors > 0 {
            let errors = over_time(report, "errors", "bad", |point| {
                numbers::quotient(numbers::u64_to_f64(point.errors), point.seconds)
            });
            let y =
                Axis::linear(errors.points.iter().map(|(_, errors)| *errors).fold(1.0, f64::max), "errors");
            html.push_str(&svg::chart("Errors per second over time", &x, &y, &[errors]));
        }
    }
    html
}

/// Returns the line of `value` at the middle of each point of the series. Points without replies have no
/// latency.
fn over_time(
    report: &Report,
    name: &'static str,
    class: &'static str,
    value: impl Fn(&SeriesPoint) -> Option<f64>,
) -> ChartLine {
    let middle = |point: &SeriesPoint| point.start_seconds + point.seconds / 2.0;
    let points = report.series.iter().filter_map(|point| Some((middle(point), value(point)?)));
    ChartLine { name, class, points: points.collect() }
}

fn latency_axis(lines: &[ChartLine], title: &'static str) -> Axis {
    let values = || lines.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value));
    Axis::durations(values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max), title)
}

/// Draws the number of replies by latency.
fn latency_histogram(name: &'static str, latency: &Histogram<u64>) -> String {
    let rows = histogram_rows(latency, HISTOGRAM_STEPS);
    let high = rows.iter().map(|(_, count)| numbers::u64_to_f64(*count)).fold(0.0, f64::max);
    let low = numbers::u64_to_f64(latency.min());
    let bounds = std::iter::once(low).chain(rows.iter().map(|(bound, _)| numbers::u64_to_f64(*bound)));
    let steps = bounds.zip(&rows).flat_map(|(from, (to, count))| {
        let count = numbers::u64_to_f64(*count);
        [(from, count), (numbers::u64_to_f64(*to), count)]
    });
    let line = ChartLine { name: "messages", class: "a", points: steps.collect() };
    let x = Axis::durations(low, numbers::u64_to_f64(latency.max()), name);
    svg::chart(&format!("Messages by {name}"), &x, &Axis::linear(high, "messages"), &[line])
}

fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let high = numbers::u64_to_f64(histogram.len()).max(100.0);
    (0..=CURVE)
        .map(|step| {
            let nines = high.powf(f64::from(step) / f64::from(CURVE));
            (nines, numbers::u64_to_f64(histogram.value_at_quantile(1.0 - 1.0 / nines)))
        })
        .collect()
}

fn latencies(report: &Report) -> String {
    let rows = report.latencies().fold(String::new(), |mut html, (name, row)| {
        let count = text::grouped(row.count);
        let _ =
            write!(html, "<tr><th scope=\"row\">{}</th><td data-name=\"count\">{count}</td>", escape(name));
        for (name, micros) in row.columns() {
            let _ = write!(html, "<td data-name=\"{name}\">{}</td>", text::micros(micros));
        }
        html.push_str("</tr>");
        html
    });
    let names = report.corrected.columns().map(|(name, _)| format!("<th>{name}</th>")).concat();
    format!(
        "<section><h2>Latency</h2><div class=\"wide\"><table><tr><th></th><th>count</th>{names}</tr>{rows}\
         </table></div><p class=\"sub\">Corrected counts from the moment a message should have been sent, \
         raw from the moment it was sent.</p></section>"
    )
}

fn errors(report: &Report) -> String {
    let kinds = faults().map(|(count, name)| (report.fault_name(name), text::grouped(report.get(count))));
    let reasons =
        report.reasons.iter().map(|(reason, number)| (report.detailed(reason), text::grouped(*number)));
    table("Errors", kinds.chain(reasons))
}

fn counts(report: &Report) -> String {
    use Count::{
        Attempted, ClosedClean, Cut, Cycles, Opened, Pings, Replies, Sent, SynRetransmitted, TlsFull,
        TlsResumed, Unfinished, Unsent,
    };
    let received = match () {
        () if report.is_fan_out() => "valid deliveries",
        () if report.gap.count > 0 => "messages received",
        () => "valid replies",
    };
    let rows = [
        (Sent, "messages sent"),
        (Replies, received),
        (Unsent, "not sent in time"),
        (Attempted, "connections begun"),
        (Opened, "connections opened"),
        (ClosedClean, "closed cleanly"),
        (Cut, "without complete closing handshake"),
        (Unfinished, "still opening at the end"),
        (SynRetransmitted, "SYN retransmits"),
        (TlsFull, "full TLS handshakes"),
        (TlsResumed, "resumed TLS handshakes"),
        (Cycles, "cycles"),
        (Pings, "pings answered"),
    ];
    let rows = rows.into_iter().filter(|(count, _)| report.get(*count) > 0 || matches!(count, Sent | Opened));
    table("Counts", rows.map(|(count, name)| (name.to_owned(), text::grouped(report.get(count)))))
}

fn generator(report: &Report) -> Vec<(String, String)> {
    let generator = &report.generator;
    let mut rows = vec![
        ("machine".to_owned(), report.machine.to_string()),
        ("busy".to_owned(), generator.busy.map_or("–".to_owned(), text::percent)),
    ];
    if let Some(waited) = generator.waited {
        rows.push(("waiting for a processor".into(), text::percent(waited)));
    }
    if let (Some(user), Some(system)) = (generator.cpu_user_seconds, generator.cpu_system_seconds) {
        rows.push(("CPU".into(), format!("{user:.2} s user, {system:.2} s system")));
    }
    if generator.lateness.count > 0 {
        rows.push(("lateness, p99".into(), text::micros(generator.lateness.p99_us)));
        rows.push(("lateness, max".into(), text::micros(generator.lateness.max_us)));
    }
    rows
}

fn table(title: &str, rows: impl Iterator<Item = (String, String)>) -> String {
    let rows = rows.fold(String::new(), |mut html, (name, value)| {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(&name), escape(&value));
        html
    });
    format!("<section><h2>{}</h2><table>{rows}</table></section>", escape(title))
}
