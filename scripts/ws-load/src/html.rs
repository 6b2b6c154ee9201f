//! The report as one page that needs nothing else: no script, no font, no picture from anywhere.

use super::{
    numbers,
    percentiles::Percentiles,
    report::{Report, SeriesPoint},
    stats::{Count, Metric, faults},
    summary,
    svg::{self, Axis, Line},
    text,
};
use hdrhistogram::Histogram;
use std::fmt::Write;

/// Points of the curve of percentiles.
const CURVE: u32 = 160;
/// Steps of the staircase of latencies.
const STAIRS: usize = 30;

const STYLE: &str = include_str!("report.css");

/// Makes text safe between tags and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let url = escape(&report.url);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{url}: load report</title><style>{STYLE}</style></head><body><main>\
         <h1>{url}</h1><p class=\"sub\">{}, {} measured{}, ended {}</p>",
        escape(&report.tool),
        text::time(numbers::count(report.measured_seconds * 1e9)),
        if report.interrupted { ", ended early" } else { "" },
        escape(&report.ended),
    );
    page.push_str(&verdict(report));
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
        report.options.iter().map(|(name, value)| ((*name).into(), value.clone())),
    ));
    page.push_str(&table("Generator", generator(report).into_iter()));
    page.push_str("</section></main></body></html>\n");
    page
}

/// What a hurried reader has to know first.
fn verdict(report: &Report) -> String {
    let mut html = String::new();
    let mut line = |class: &str, words: &str| {
        let _ = write!(html, "<p class=\"verdict {class}\">{}</p>", escape(words));
    };
    if report.errors > 0 {
        line("bad", &format!("{} errors: see the table below.", text::grouped(report.errors)));
    } else if report.get(Count::Replies) > 0 {
        line("good", "Every message had its reply, and every reply was right.");
    }
    if !report.generator.kept_schedule {
        line(
            "bad",
            "The generator could not keep its own schedule: these figures are about it, not the server.",
        );
    } else if report.generator.saturated {
        line("note", "The generator was at its limit: the server may be faster than shown.");
    }
    for asserted in &report.asserts {
        let class = if asserted.result == "holds" { "good" } else { "bad" };
        line(class, &format!("{}: {} ({})", asserted.expression, asserted.result, asserted.seen));
    }
    html
}

fn cards(report: &Report) -> String {
    let asked = report.rate_asked.map_or("messages a second".to_owned(), |rate| {
        format!("messages a second of {} asked for", text::grouped(rate))
    });
    let latency = |micros: f64| match report.corrected.count {
        0 => "–".to_owned(),
        _ => micros_text(micros),
    };
    let cards = [
        (text::grouped(numbers::count(report.rate)), asked),
        (latency(report.corrected.p50_us), "median latency, corrected".into()),
        (latency(report.corrected.p99_us), "p99 latency, corrected".into()),
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
        let lines = lines.map(|(name, class, histogram)| Line { name, class, points: curve(histogram) });
        let x = Axis::percentiles(corrected.len(), "percentile");
        html.push_str(&svg::chart("Latency by percentile", &x, &heights(&lines, "latency"), &lines));
        html.push_str(&spread(corrected));
    }
    if report.series.len() > 1 {
        let end = report.series.iter().map(|point| point.start_seconds + point.seconds).fold(0.0, f64::max);
        let x = Axis::seconds(end, "seconds");
        let rate = over_time(report, "rate", "a", |point| point.rate);
        let y = Axis::linear(rate.points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max), "rate");
        html.push_str(&svg::chart("Messages a second over time", &x, &y, &[rate]));
        let lines = [
            over_time(report, "max", "c", |point| point.max_us * 1e3),
            over_time(report, "p99", "a", |point| point.p99_us * 1e3),
            over_time(report, "p50", "b", |point| point.p50_us * 1e3),
        ];
        if lines.iter().any(|line| !line.points.is_empty()) {
            html.push_str(&svg::chart(
                "Corrected latency over time",
                &x,
                &heights(&lines, "latency"),
                &lines,
            ));
        }
        if report.errors > 0 {
            let errors =
                over_time(report, "errors", "bad", |point| numbers::float(point.errors) / point.seconds);
            let y =
                Axis::linear(errors.points.iter().map(|(_, errors)| *errors).fold(1.0, f64::max), "errors");
            html.push_str(&svg::chart("Errors a second over time", &x, &y, &[errors]));
        }
    }
    html
}

/// The middle of each stretch, and what `value` says of it. A stretch without replies has no latency.
fn over_time(
    report: &Report,
    name: &'static str,
    class: &'static str,
    value: impl Fn(&SeriesPoint) -> f64,
) -> Line {
    let latency = ["max", "p99", "p50"].contains(&name);
    let seen = report.series.iter().filter(|point| !latency || point.max_us > 0.0);
    let points = seen.map(|point| (point.start_seconds + point.seconds / 2.0, value(point))).collect();
    Line { name, class, points }
}

fn heights(lines: &[Line], title: &'static str) -> Axis {
    let values = || lines.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value));
    Axis::durations(values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max), title)
}

/// How many replies took how long, as a staircase.
fn spread(latency: &Histogram<u64>) -> String {
    let rows = summary::rows(latency, STAIRS);
    let high = rows.iter().map(|(_, count)| numbers::float(*count)).fold(0.0, f64::max);
    let low = numbers::float(latency.min());
    let bounds = std::iter::once(low).chain(rows.iter().map(|(bound, _)| numbers::float(*bound)));
    let stairs = bounds.zip(&rows).flat_map(|(from, (to, count))| {
        let count = numbers::float(*count);
        [(from, count), (numbers::float(*to), count)]
    });
    let line = Line { name: "replies", class: "a", points: stairs.collect() };
    let x = Axis::durations(low, numbers::float(latency.max()), "corrected latency");
    svg::chart("Replies by latency", &x, &Axis::linear(high, "replies"), &[line])
}

fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let high = numbers::float(histogram.len()).max(100.0);
    (0..=CURVE)
        .map(|step| {
            let nines = high.powf(f64::from(step) / f64::from(CURVE));
            (nines, numbers::float(histogram.value_at_quantile(1.0 - 1.0 / nines)))
        })
        .collect()
}

fn latencies(report: &Report) -> String {
    let rows = report.latencies().fold(String::new(), |mut html, (name, row)| {
        let Percentiles { mean_us, p50_us, p90_us, p99_us, p999_us, p9999_us, max_us, count, .. } = row;
        let _ = write!(html, "<tr><th scope=\"row\">{}</th><td>{}</td>", escape(name), text::grouped(*count));
        for micros in [mean_us, p50_us, p90_us, p99_us, p999_us, p9999_us, max_us] {
            let _ = write!(html, "<td>{}</td>", micros_text(*micros));
        }
        html.push_str("</tr>");
        html
    });
    format!(
        "<section><h2>Latency</h2><div class=\"wide\"><table><tr><th></th><th>count</th><th>mean</th><th>p50</th>\
         <th>p90</th><th>p99</th><th>p99.9</th><th>p99.99</th><th>max</th></tr>{rows}</table></div>\
         <p class=\"sub\">Corrected counts from the moment a message should have been sent, raw from the moment it was.\
         </p></section>"
    )
}

fn errors(report: &Report) -> String {
    let kinds = faults().map(|(count, name)| (name.to_owned(), text::grouped(report.get(count))));
    let reasons = report.reasons.iter().map(|(reason, number)| (reason.clone(), text::grouped(*number)));
    table("Errors", kinds.chain(reasons))
}

fn counts(report: &Report) -> String {
    use Count::{
        Attempted, ClosedClean, Cut, Cycles, Opened, Pings, Replies, Sent, SlowSyn, Unfinished, Unsent,
    };
    let rows = [
        (Sent, "messages sent"),
        (Replies, "right replies"),
        (Unsent, "due and never sent"),
        (Attempted, "connections begun"),
        (Opened, "connections opened"),
        (ClosedClean, "closed cleanly"),
        (Cut, "cut"),
        (Unfinished, "still opening at the end"),
        (SlowSyn, "waited for a SYN sent again"),
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
        ("busy".to_owned(), text::percent(generator.busy)),
    ];
    if let (Some(user), Some(system)) = (generator.cpu_user_seconds, generator.cpu_system_seconds) {
        rows.push(("CPU".into(), format!("{user:.2} s user, {system:.2} s system")));
    }
    if generator.lateness.count > 0 {
        rows.push(("own lateness, p99".into(), micros_text(generator.lateness.p99_us)));
        rows.push(("own lateness, max".into(), micros_text(generator.lateness.max_us)));
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

fn micros_text(micros: f64) -> String {
    text::time(numbers::count(micros * 1e3))
}
