//! The summary at the end of a run, which fits on a screen.

use super::report::Report;
use crate::{
    numbers,
    stats::{
        counters::{Count, faults},
        histogram_rows::histogram_rows,
        percentiles::Percentiles,
        recorder::Metric,
    },
    text,
};
use hdrhistogram::Histogram;
use std::fmt;

/// Number of rows of the histogram.
const ROWS: usize = 10;
/// Width of the longest bar, in characters.
const BAR: u64 = 40;

/// Formats a report as text.
#[derive(Debug)]
pub struct TextSummary<'a>(pub &'a Report);

impl fmt::Display for TextSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        head(f, report)?;
        if report.get(Count::Sent) > 0 || report.corrected.count > 0 {
            traffic(f, report)?;
        }
        connections(f, report)?;
        errors(f, report)?;
        latencies(f, report)?;
        let latency = report.total.histogram(Metric::Corrected);
        if !latency.is_empty() {
            histogram(f, latency)?;
        }
        generator(f, report)?;
        for asserted in &report.asserts {
            writeln!(f, "  assert       {}: {} ({})", asserted.expression, asserted.result, asserted.seen)?;
        }
        Ok(())
    }
}

fn head(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    writeln!(f, "{} on {}", report.tool, report.url)?;
    let options: Vec<String> = ["load", "connections", "depth", "messages", "threads", "logs"]
        .iter()
        .filter_map(|name| report.options.get(name).map(|value| format!("{name} {value}")))
        .collect();
    let early = if report.interrupted { ", ended early" } else { "" };
    writeln!(f, "{}; {:.1} s measured{early}", options.join("; "), report.measured_seconds)?;
    if let Some(early) = report.early_end() {
        writeln!(f, "{early}")?;
    }
    writeln!(f)
}

fn traffic(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let requested =
        report.rate_asked.map(|rate| format!(" of {} requested", text::grouped(rate))).unwrap_or_default();
    let rate = text::grouped(numbers::f64_to_u64(report.rate));
    let reached = if report.rate_reached == Some(false) { ": NOT REACHED" } else { "" };
    writeln!(f, "  rate         {rate} messages/s{requested}{reached}")?;
    let (sent, replies) = (report.get(Count::Sent), report.get(Count::Replies));
    let bytes = [Count::SentBytes, Count::ReplyBytes].map(|count| text::bytes(report.get(count)));
    write!(f, "  messages     {} sent ({})", text::grouped(sent), bytes[0])?;
    writeln!(f, ", {} valid replies ({})", text::grouped(replies), bytes[1])?;
    let unsent = report.get(Count::Unsent);
    if unsent > 0 {
        writeln!(f, "               {} not sent in time", text::grouped(unsent))?;
    }
    Ok(())
}

fn connections(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    use Count::{
        Attempted, ClosedClean, Compressed, Cut, Cycles, Lost, Opened, Pings, Reconnected, SynRetransmitted,
        TlsFull, TlsResumed, Unfinished,
    };
    let get = |count| text::grouped(report.get(count));
    write!(
        f,
        "  connections  {} of {} opened, {} closed cleanly",
        get(Opened),
        get(Attempted),
        get(ClosedClean)
    )?;
    for (count, words) in [
        (Cut, "without complete closing handshake"),
        (Unfinished, "still opening at the end"),
        (SynRetransmitted, "SYN retransmits"),
        (Compressed, "compressed"),
        (TlsFull, "full TLS handshakes"),
        (TlsResumed, "resumed TLS handshakes"),
    ] {
        if report.get(count) > 0 {
            write!(f, ", {} {words}", get(count))?;
        }
    }
    writeln!(f)?;
    if let (Some(total), Some(longest)) =
        (report.without_service_seconds, report.longest_without_service_seconds)
    {
        writeln!(
            f,
            "  reconnected  {} of {} lost; {total:.2} s without any connection, longest {longest:.2} s",
            get(Reconnected),
            get(Lost)
        )?;
    }
    if report.get(Cycles) > 0 && report.measured_seconds > 0.0 {
        let rate = numbers::u64_to_f64(report.get(Cycles)) / report.measured_seconds;
        writeln!(f, "  cycles       {} done, {rate:.0}/s", get(Cycles))?;
    }
    if report.options.get("load").is_some_and(|load| load == "idle connections") {
        writeln!(
            f,
            "  held         {} still open at the end, {} pings answered",
            report.open_at_end,
            get(Pings)
        )?;
    }
    Ok(())
}

fn errors(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let seen: Vec<String> = faults()
        .filter(|(count, _)| report.get(*count) > 0)
        .map(|(count, words)| format!("{} {words}", text::grouped(report.get(count))))
        .collect();
    let seen = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
    writeln!(f, "  errors       {seen}")?;
    if report.get(Count::Corrupted) > 0 && report.get(Count::Replies) == 0 {
        writeln!(f, "               if the endpoint adds a prefix, name it with --expect-prefix")?;
    }
    for (reason, number) in &report.reasons {
        writeln!(f, "               {} × {}", text::grouped(*number), report.detailed(reason))?;
    }
    Ok(())
}

fn latencies(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    writeln!(
        f,
        "\n  {:<9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "latency", "p50", "p90", "p99", "p99.9", "p99.99", "max"
    )?;
    for (name, row) in report.latencies() {
        write!(f, "  {name:<9}")?;
        let Percentiles { p50_us, p90_us, p99_us, p999_us, p9999_us, max_us, .. } = row;
        for micros in [p50_us, p90_us, p99_us, p999_us, p9999_us, max_us] {
            write!(f, " {:>9}", text::time(numbers::f64_to_u64(micros * 1e3)))?;
        }
        writeln!(f)?;
    }
    if report.get(Count::Missing) + report.get(Count::Late) > 0 {
        writeln!(
            f,
            "  late and missing replies are in it with the time that was waited, at least --timeout"
        )?;
    }
    Ok(())
}

fn histogram(f: &mut fmt::Formatter<'_>, latency: &Histogram<u64>) -> fmt::Result {
    let rows = histogram_rows(latency, ROWS);
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    writeln!(f, "\n  corrected, up to")?;
    for (high, count) in rows {
        let width = (count * BAR).div_ceil(most);
        let bar = "■".repeat(numbers::u64_to_usize(width));
        let line = format!("  {:>9}  {:>13}  {bar}", text::time(high), text::grouped(count));
        writeln!(f, "{}", line.trim_end())?;
    }
    writeln!(f)
}

fn generator(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let generator = &report.generator;
    write!(f, "  generator    {} busy", text::percent(generator.busy))?;
    if let (Some(user), Some(system)) = (generator.cpu_user_seconds, generator.cpu_system_seconds) {
        write!(f, ", CPU {user:.2} s user, {system:.2} s system")?;
    }
    if report.rate_asked.is_some() {
        write!(
            f,
            ", p99 of its lateness {}",
            text::time(numbers::f64_to_u64(generator.lateness.p99_us * 1e3))
        )?;
    }
    writeln!(f)?;
    if let Some(limit) = &generator.in_flight_limit {
        writeln!(f, "  WARNING      {}", text::wrapped(&limit.advice(), "               "))?;
    }
    if generator.sent_late {
        writeln!(
            f,
            "  WARNING      the generator could not keep its schedule: these figures describe the generator, not\n\
             \x20              the server. Raise --threads, lower --rate, or use more cores."
        )?;
    } else if generator.saturated {
        writeln!(
            f,
            "  note         the generator was busy all the time: the server may be faster than shown. Raise --threads."
        )?;
    }
    Ok(())
}
