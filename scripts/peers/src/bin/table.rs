//! Writes the table and the chart of scripts/compare from its measurements, as medians over the rounds.
//!
//! Usage: table ROWS.tsv TITLE LOWEST TABLE.md CHART.svg
//!
//! A row has the columns scenario, server, round, core-to-core latency in ns, rate, p50 and p99 in µs, user
//! and system CPU time in µs for each message, memory in KiB, errors. LOWEST is the lowest core-to-core
//! latency of the run in ns, 0 if it was not measured.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::{self, Write},
    fs,
};

/// Number of columns after scenario and server.
const FIELDS: usize = 9;
/// Indexes of these columns.
const ROUND: usize = 0;
const CORE_LATENCY: usize = 1;
const RATE: usize = 2;
const P50: usize = 3;
const P99: usize = 4;
/// The core-to-core latency is high if it exceeds this multiple of the lowest. scripts/compare has the same
/// factor.
const HIGH_LATENCY_FACTOR: f64 = 3.0;
/// Height of a row of the chart, in pixels.
const ROW_HEIGHT: f64 = 20.0;
/// Left end of the bars.
const BAR_LEFT: f64 = 190.0;
/// Length of the longest bar.
const MAX_BAR: f64 = 300.0;
/// Width of the chart.
const WIDTH: f64 = 720.0;

/// The rounds of one server in one scenario.
type Rounds = Vec<[f64; FIELDS]>;
/// Scenarios and their servers, both in the order of their first row.
type Results = Vec<(String, Vec<(String, Rounds)>)>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [rows, title, lowest_latency, table, chart] = &arguments[..] else {
        return Err("usage: table ROWS.tsv TITLE LOWEST TABLE.md CHART.svg".into());
    };
    let mut results = parse(&fs::read_to_string(rows)?)?;
    let note = remove_high_latency(&mut results, lowest_latency.parse()?);
    let markdown = markdown(&results, title, &note)?;
    print!("{markdown}");
    fs::write(table, markdown)?;
    fs::write(chart, svg(&results, title, &note)?)?;
    Ok(())
}

/// Parses the rows.
fn parse(text: &str) -> Result<Results, Box<dyn Error>> {
    let mut results = Results::new();
    let mut indexes = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        let [scenario, server, numbers @ ..] = &words[..] else {
            return Err(format!("invalid row: {line}").into());
        };
        let parsed: Vec<f64> = numbers.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
        let numbers = <[f64; FIELDS]>::try_from(parsed).map_err(|_| format!("invalid row: {line}"))?;
        let scenario_index = *indexes.entry((*scenario, "")).or_insert_with(|| {
            results.push(((*scenario).to_owned(), Vec::new()));
            results.len() - 1
        });
        let servers = &mut results[scenario_index].1;
        let index = *indexes.entry((*scenario, *server)).or_insert_with(|| {
            servers.push(((*server).to_owned(), Vec::new()));
            servers.len() - 1
        });
        servers[index].1.push(numbers);
    }
    Ok(results)
}

/// Removes measurements with a high core-to-core latency, unless a server has no others in a scenario.
/// Returns a note for the reader, empty if the latency was not measured.
fn remove_high_latency(results: &mut Results, lowest: f64) -> String {
    let is_normal = |row: &[f64; FIELDS]| row[CORE_LATENCY] <= lowest * HIGH_LATENCY_FACTOR;
    let (mut removed, mut kept) = (0, 0);
    for (_, rounds) in results.iter_mut().flat_map(|(_, servers)| servers) {
        let all = rounds.len();
        if rounds.iter().any(is_normal) {
            rounds.retain(is_normal);
            removed += all - rounds.len();
        } else {
            kept += all;
        }
    }
    if lowest == 0.0 {
        return String::new();
    }
    let mut text = format!("lowest core-to-core latency {lowest:.0} ns");
    for (count, what) in [(removed, "removed"), (kept, "kept")] {
        if count > 0 {
            text +=
                &format!("; {what} measurements with more than {HIGH_LATENCY_FACTOR} times as much: {count}");
        }
    }
    text
}

/// Sorted values of one column, one from each round.
struct Sample(Vec<f64>);

impl Sample {
    fn of(rounds: &Rounds, field: usize) -> Self {
        Self::sorted(rounds.iter().map(|row| row[field]))
    }

    /// Returns the ratio to another server's rate in the same round. The speed of the machine changes from
    /// round to round; a ratio does not depend on it.
    fn ratios(rounds: &Rounds, others: &Rounds) -> Self {
        let same_round = |row: &[f64; FIELDS]| others.iter().find(|other| other[ROUND] == row[ROUND]);
        Self::sorted(
            rounds
                .iter()
                .filter_map(|row| Some(row[RATE] / same_round(row)?[RATE]))
                .filter(|ratio| ratio.is_finite()),
        )
    }

    fn sorted(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    fn median(&self) -> f64 {
        match self.0.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => self.0[odd / 2],
            even => f64::midpoint(self.0[even / 2 - 1], self.0[even / 2]),
        }
    }

    /// Returns the lowest and the highest value.
    fn range(&self) -> (f64, f64) {
        (self.0.first().copied().unwrap_or(f64::NAN), self.0.last().copied().unwrap_or(f64::NAN))
    }
}

impl fmt::Display for Sample {
    /// Writes median, range and number of values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lowest, highest) = self.range();
        match self.0.len() {
            0 => f.write_str("–"),
            size => write!(f, "{:.2} ({lowest:.2}–{highest:.2}, {size})", self.median()),
        }
    }
}

fn markdown(results: &Results, title: &str, note: &str) -> Result<String, std::fmt::Error> {
    let mut text = format!("{title}\n\n{note}\n");
    for (scenario, servers) in results {
        let Some((first, first_rounds)) = servers.first() else { continue };
        write!(
            text,
            "\n**{scenario}**\n\n\
             | server | rate | ratio to {first} (range, rounds) | p50 ms | p99 ms | user µs | system µs | memory MiB | errors |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
        )?;
        for (server, rounds) in servers {
            let [rate, p50, p99, user, system, memory, errors] =
                [RATE, P50, P99, 5, 6, 7, 8].map(|field| Sample::of(rounds, field).median());
            let ratios = Sample::ratios(rounds, first_rounds);
            writeln!(
                text,
                "| {server} | {} | {ratios} | {:.2} | {:.2} | {user:.2} | {system:.2} | {:.1} | {errors:.0} |",
                grouped(rate),
                p50 / 1e3,
                p99 / 1e3,
                memory / 1024.0,
            )?;
        }
    }
    Ok(text)
}

/// Returns the chart: a bar for the median of the rate, a line from the lowest to the highest rate, and the
/// p99. Its colours follow the light or dark mode of the browser.
fn svg(results: &Results, title: &str, note: &str) -> Result<String, std::fmt::Error> {
    let rows: usize = results.iter().map(|(_, servers)| servers.len() + 2).sum();
    let height = ROW_HEIGHT * (rows as f64 + 3.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\
         <title>{}</title><style>\
         svg{{background:#fff}}text{{font:13px system-ui,sans-serif;fill:#1c1e21}}.s{{fill:#62676f;font-size:12px}}\
         .h{{font-weight:bold}}.e{{text-anchor:end}}rect{{fill:#9db4d6}}rect.us{{fill:#1d5fd0}}line{{stroke:#1c1e21;stroke-opacity:.55}}\
         @media(prefers-color-scheme:dark){{svg{{background:#14171b}}text{{fill:#e6e8eb}}.s{{fill:#9aa1ab}}\
         rect{{fill:#4a5f82}}rect.us{{fill:#7fb0ff}}line{{stroke:#fff}}}}</style>\n",
        escape(title)
    );
    let mut y = ROW_HEIGHT;
    for line in [title, note] {
        writeln!(svg, "<text class=\"s\" x=\"10\" y=\"{y}\">{}</text>", escape(line))?;
        y += ROW_HEIGHT;
    }
    for (scenario, servers) in results {
        y += ROW_HEIGHT * 0.7;
        writeln!(svg, "<text class=\"h\" x=\"10\" y=\"{y}\">{}</text>", escape(scenario))?;
        y += ROW_HEIGHT * 0.3;
        let rates = |rounds| Sample::of(rounds, RATE);
        let best = servers.iter().map(|(_, rounds)| rates(rounds).range().1).fold(1e-9, f64::max);
        for (server, rounds) in servers {
            let (rates, p99) = (rates(rounds), Sample::of(rounds, P99).median());
            let (rate, (lowest, highest)) = (rates.median(), rates.range());
            let middle = y + ROW_HEIGHT / 2.0;
            let x_of = |rate: f64| BAR_LEFT + rate / best * MAX_BAR;
            let class = if server.starts_with("ws-echo") { " class=\"us\"" } else { "" };
            writeln!(
                svg,
                "<text class=\"e\" x=\"{:.0}\" y=\"{:.1}\">{}</text>\
                 <rect{class} x=\"{BAR_LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.0}\" rx=\"2\"/>\
                 <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
                 <text class=\"s\" x=\"{:.1}\" y=\"{:.1}\">{}/s, p99 {:.2} ms</text>",
                BAR_LEFT - 8.0,
                y + 14.0,
                escape(server),
                y + 3.0,
                x_of(rate) - BAR_LEFT,
                ROW_HEIGHT - 6.0,
                x_of(lowest),
                x_of(highest),
                x_of(highest) + 6.0,
                y + 14.0,
                grouped(rate),
                p99 / 1e3,
            )?;
            y += ROW_HEIGHT;
        }
        y += ROW_HEIGHT;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Formats a number with commas between groups of three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
