//! The summary at the end of a run, which fits a terminal.

use super::{
    conclusions,
    report::Report,
    style::{Colour, paint},
};
use crate::{
    numbers,
    stats::{
        counters::{Count, faults},
        histogram_rows::histogram_rows,
    },
    text,
};
use hdrhistogram::Histogram;
use std::fmt;

/// Number of rows of the histogram.
const ROWS: usize = 10;
/// Width of the longest bar, in characters.
const BAR: u64 = 40;

/// Largest number of reasons that are shown. The JSON has all.
const MOST_REASONS: usize = 3;
/// Width of a terminal: a row is shorter, because a full one continues on the next.
const COLUMNS: usize = 80;
/// Number of rows of a terminal.
const TERMINAL_ROWS: usize = 24;
/// The times of single steps, which are left out first if a summary would be longer than a terminal.
const STEPS: [&str; 5] = ["connect", "TLS", "handshake", "opening", "compress"];
/// Width of the name of a row, with the spaces around it.
const NAME: usize = 15;

/// Formats a report as text of at most 79 columns and, without the histogram, of at most 24 rows if that is
/// possible: less important rows are left out.
#[derive(Debug)]
pub struct TextSummary<'a> {
    /// The report.
    pub report: &'a Report,
    /// It goes to a terminal, where the conclusions have colours.
    pub is_terminal: bool,
    /// The histogram is shown.
    pub histogram: bool,
}

impl fmt::Display for TextSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = [Size::All, Size::FewTimes, Size::FewDetails].map(|size| Sized { summary: self, size });
        let fits = |text: &String| text.lines().count() <= TERMINAL_ROWS;
        let text = sizes.iter().map(ToString::to_string).find(fits);
        f.write_str(&text.unwrap_or_else(|| sizes[2].to_string()))?;
        let (name, metric) = self.report.main_histogram();
        let latency = self.report.total.histogram(metric);
        if self.histogram && !latency.is_empty() { histogram(f, name, latency) } else { Ok(()) }
    }
}

/// How much of a summary is shown, so that it fits a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    All,
    /// Without the times of single steps.
    FewTimes,
    /// Also with one row for the assertions that hold, one for the generator, and no explanation.
    FewDetails,
}

/// A summary of a size, without the histogram.
struct Sized<'a> {
    summary: &'a TextSummary<'a>,
    size: Size,
}

impl fmt::Display for Sized<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { summary, size } = *self;
        let report = summary.report;
        summary.conclusions(f, size)?;
        head(f, report)?;
        if report.get(Count::Sent) > 0 || report.get(Count::Replies) > 0 || report.corrected.count > 0 {
            traffic(f, report)?;
        }
        connections(f, report)?;
        errors(f, report)?;
        generator(f, report, size)?;
        latencies(f, report, size)
    }
}

impl TextSummary<'_> {
    fn conclusions(&self, f: &mut fmt::Formatter<'_>, size: Size) -> fmt::Result {
        let (colour, words) = conclusions::result(self.report);
        for line in wrapped(&words) {
            writeln!(f, "{}", paint(&line, colour, self.is_terminal))?;
        }
        for (colour, words) in conclusions::asserts(self.report, size == Size::FewDetails) {
            let line = shortened(&format!("  {:<12} {words}", "assert"), COLUMNS - 1);
            writeln!(f, "{}", paint(&line, colour, self.is_terminal))?;
        }
        for (name, words) in conclusions::warnings(self.report) {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            for line in rows(name, &words, " ") {
                writeln!(f, "{}", paint(&line, Colour::Yellow, self.is_terminal))?;
            }
        }
        Ok(())
    }
}

/// Writes a row: its name, and its items on as many rows as they need.
fn row(f: &mut fmt::Formatter<'_>, name: &str, items: &[String]) -> fmt::Result {
    rows(name, items, ", ").iter().try_for_each(|line| writeln!(f, "{line}"))
}

/// Joins items to rows that fit a terminal. The first one starts with the name.
fn rows(name: &str, items: &[String], separator: &str) -> Vec<String> {
    let width = COLUMNS - 1 - NAME;
    let mut rows: Vec<String> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let end = if index + 1 < items.len() { separator } else { "" };
        let part = shortened(item, width - separator.len()) + end;
        match rows.last_mut() {
            Some(row) if row.chars().count() + part.trim_end().chars().count() <= width => {
                row.push_str(&part);
            }
            _ => rows.push(part),
        }
    }
    let named = |(index, row): (usize, String)| {
        let name = if index == 0 { name } else { "" };
        format!("  {name:<12} {}", row.trim_end())
    };
    rows.into_iter().enumerate().map(named).collect()
}

/// Splits text into lines that fit a terminal.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.chars().count() + word.chars().count() < COLUMNS - 1 => {
                line.push_str(if line.is_empty() { "" } else { " " });
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Returns the text, or its beginning and an ellipsis if it is longer than `most` characters.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

fn head(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let mut items: Vec<String> = ["load", "connections", "depth", "messages", "threads", "logs"]
        .iter()
        .filter_map(|name| report.options.get(*name).map(|value| format!("{name} {value}")))
        .collect();
    let early = if report.interrupted || report.aborted.is_some() { ", ended early" } else { "" };
    let measured = report.measured_seconds.map_or("nothing".to_owned(), |seconds| format!("{seconds:.1} s"));
    items.push(format!("{measured} measured{early}"));
    writeln!(f, "\n{}", shortened(&format!("{} on {}", report.tool, report.url), COLUMNS - 1))?;
    rows("run", &items, "; ").iter().try_for_each(|line| writeln!(f, "{line}"))
}

fn traffic(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let requested = match report.rate_asked.map(text::grouped) {
        Some(rate) if report.is_fan_out() => format!(", {rate} messages/s requested"),
        Some(rate) => format!(" of {rate} requested"),
        None => String::new(),
    };
    let what = if report.is_fan_out() { "deliveries" } else { "messages" };
    if let Some(rate) = report.rate {
        let rate = text::grouped(numbers::f64_to_u64(rate));
        let reached = if report.rate_reached == Some(false) { ": NOT REACHED" } else { "" };
        let mut items = vec![format!("{rate} {what}/s{requested}{reached}")];
        items.extend(report.mib_per_second.map(|mib| format!("{mib:.3} MiB/s")));
        row(f, "rate", &items)?;
    }
    row(f, "messages", &messages(report))?;
    if let Some(room) = report
        .fan_out
        .as_ref()
        .filter(|room| room.senders > 1 && room.same_order == Some(true))
        .filter(|_| report.get(Count::Missing) == 0)
    {
        let words = format!("every member received the messages of {} senders in one order", room.senders);
        row(f, "order", &[words])?;
    }
    let wire = [Count::WireSentBytes, Count::WireReceivedBytes].map(|count| text::bytes(report.get(count)));
    if report.get(Count::Compressed) > 0 {
        row(f, "on the wire", &[format!("{} sent", wire[0]), format!("{} received", wire[1])])?;
    }
    Ok(())
}

/// Returns what was sent and received, in words.
fn messages(report: &Report) -> Vec<String> {
    let (sent, replies) = (report.get(Count::Sent), report.get(Count::Replies));
    let bytes = [Count::SentBytes, Count::ReplyBytes].map(|count| text::bytes(report.get(count)));
    let mut items = Vec::new();
    if sent > 0 || report.gap.count == 0 {
        items.push(format!("{} sent ({})", text::grouped(sent), bytes[0]));
    }
    let expected = text::grouped(report.get(Count::Expected));
    let words = match () {
        () if report.is_fan_out() => format!("of {expected} deliveries"),
        () if sent == 0 => "received".to_owned(),
        () => "valid replies".to_owned(),
    };
    if replies > 0 || sent > 0 {
        items.push(format!("{} {words} ({})", text::grouped(replies), bytes[1]));
    }
    let unsent = report.get(Count::Unsent);
    if unsent > 0 {
        items.push(format!("{} not sent in time", text::grouped(unsent)));
    }
    items
}

fn connections(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    use Count::{
        Attempted, ClosedClean, Compressed, Cut, Cycles, Lost, Opened, Pings, Reconnected, Resent,
        SynRetransmitted, TlsFull, TlsResumed, Unfinished,
    };
    let get = |count| text::grouped(report.get(count));
    let mut items = vec![
        format!("{} of {} opened", get(Opened), get(Attempted)),
        format!("{} closed cleanly", get(ClosedClean)),
    ];
    for (count, words) in [
        (Cut, "without complete closing handshake"),
        (Unfinished, "still opening at the end"),
        (SynRetransmitted, "SYN retransmits"),
        (Compressed, "compressed"),
        (TlsFull, "full TLS handshakes"),
        (TlsResumed, "resumed TLS handshakes"),
    ] {
        if report.get(count) > 0 {
            items.push(format!("{} {words}", get(count)));
        }
    }
    row(f, "connections", &items)?;
    if let (Some(total), Some(longest)) =
        (report.without_service_seconds, report.longest_without_service_seconds)
    {
        let again = match report.get(Resent) {
            0 => String::new(),
            _ => format!(", {} messages sent again", get(Resent)),
        };
        let lost = format!("{} of {} lost{again}", get(Reconnected), get(Lost));
        let gaps = format!("{total:.2} s without any connection, longest {longest:.2} s");
        rows("reconnected", &[lost, gaps], "; ").iter().try_for_each(|line| writeln!(f, "{line}"))?;
    }
    let seconds = report.measured_seconds.filter(|_| report.get(Cycles) > 0);
    if let Some(seconds) = seconds {
        let rate = numbers::u64_to_f64(report.get(Cycles)) / seconds;
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
        .map(|(count, words)| format!("{} {}", text::grouped(report.get(count)), report.fault_name(words)))
        .collect();
    row(f, "errors", &if seen.is_empty() { vec!["none".to_owned()] } else { seen })?;
    if report.get(Count::Changed) > 0 && report.get(Count::Replies) == 0 {
        row(f, "", &["if the endpoint adds a prefix, name it with --expect-prefix".to_owned()])?;
    }
    let mut reasons: Vec<_> = report.reasons.iter().collect();
    reasons.sort_by_key(|(_, number)| std::cmp::Reverse(**number));
    for (reason, number) in reasons.iter().take(MOST_REASONS) {
        row(f, "", &[format!("{} × {}", text::grouped(**number), report.detailed(reason))])?;
    }
    if reasons.len() > MOST_REASONS {
        row(f, "", &[format!("{} other reasons, see --json", reasons.len() - MOST_REASONS)])?;
    }
    Ok(())
}

fn latencies(f: &mut fmt::Formatter<'_>, report: &Report, size: Size) -> fmt::Result {
    let head = report.corrected.columns().map(|(name, _)| format!(" {name:>6}")).concat();
    writeln!(f, "\n  {:<9}{head}", "latency")?;
    for (name, row) in report.latencies().filter(|(name, _)| size == Size::All || !STEPS.contains(name)) {
        write!(f, "  {name:<9}")?;
        for (_, micros) in row.columns() {
            // Without the space before the unit: nine columns fit a terminal.
            write!(f, " {:>6}", text::micros(micros).replace(' ', ""))?;
        }
        writeln!(f)?;
    }
    if size != Size::FewDetails && report.get(Count::Missing) + report.get(Count::Late) > 0 {
        writeln!(f, "  late and missing replies are in it with the time waited, --timeout or more")?;
    }
    Ok(())
}

fn histogram(f: &mut fmt::Formatter<'_>, name: &str, latency: &Histogram<u64>) -> fmt::Result {
    let rows = histogram_rows(latency, ROWS);
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    writeln!(f, "\n  {name}, up to")?;
    for (high, count) in rows {
        let width = (count * BAR).div_ceil(most);
        let bar = "■".repeat(numbers::u64_to_usize(width));
        let line = format!("  {:>9}  {:>13}  {bar}", text::time(high), text::grouped(count));
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

fn generator(f: &mut fmt::Formatter<'_>, report: &Report, size: Size) -> fmt::Result {
    let generator = &report.generator;
    let mut items = vec![format!("{} busy", generator.busy.map_or("–".to_owned(), text::percent))];
    if let Some(waited) = generator.waited {
        items.push(format!("{} waiting for a processor", text::percent(waited)));
    }
    if size == Size::FewDetails {
        return row(f, "generator", &items);
    }
    if let (Some(user), Some(system)) = (generator.cpu_user_seconds, generator.cpu_system_seconds) {
        items.push(format!("CPU {user:.2} s user + {system:.2} s system"));
    }
    if report.rate_asked.is_some() {
        items.push(format!("p99 of its lateness {}", text::micros(generator.lateness.p99_us)));
    }
    row(f, "generator", &items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        output::{host_info::HostInfo, report::AssertResult},
        stats::recorder::{Metric, Recorder},
    };
    use std::time::Duration;

    #[test]
    fn summary_with_every_part_fits_a_terminal() {
        let mut total = Recorder::new();
        for metric in [Metric::Corrected, Metric::Raw, Metric::Connect, Metric::Handshake, Metric::Opening] {
            total.record(metric, Duration::from_millis(100));
        }
        for count in
            [Count::Sent, Count::Replies, Count::Unsent, Count::Changed, Count::Missing, Count::Repeated]
        {
            total.counters.add(count, 1_000);
        }
        let mut report =
            Report::of_total("ws://a/".into(), HostInfo::detect(), total, Duration::from_secs(1));
        for (name, value) in
            [("load", "1000 messages/s"), ("messages", "text, 20 bytes"), ("connections", "10")]
        {
            report.options.insert(name.into(), value.into());
        }
        (report.generator.starved, report.generator.sent_late) = (true, true);
        report.notes.push("a note of two rows, ".repeat(4));
        (report.generator.waited, report.generator.busy) = (Some(0.4), Some(0.1));
        (report.generator.cpu_user_seconds, report.generator.cpu_system_seconds) = (Some(1.0), Some(1.0));
        (report.rate_asked, report.rate_reached) = (Some(1000), Some(false));
        let all = |report: &Report| TextSummary { report, is_terminal: false, histogram: false }.to_string();
        let text = all(&report);
        assert!(text.lines().count() <= TERMINAL_ROWS && text.contains("\n  raw "), "{text}");
        for result in ["inconclusive", "holds", "holds", "holds"] {
            let (expression, seen) = ("p99<1ms".to_owned(), "100 ms".to_owned());
            report.asserts.push(AssertResult { expression, result, seen });
        }
        let text = all(&report);
        assert!(text.lines().count() <= TERMINAL_ROWS, "{} rows: {text}", text.lines().count());
        for part in ["\n  assert       3 others hold\n", "\n  generator    ", "\n  raw "] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
