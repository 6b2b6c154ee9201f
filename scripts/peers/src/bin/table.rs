//! Writes the tables and the chart of scripts/compare from its measurements, as medians over the rounds.
//!
//! Usage: table ROWS.tsv TITLE TABLE.md CHART.svg
//!
//! A row has the columns scenario, server, round, core-to-core latency in ns (0: not measured), rate, p50 and
//! p99 in µs, user and system CPU time in µs for each message, memory in KiB, errors. A row with three columns
//! has scenario, server, and the reason why the server cannot run the scenario.
//!
//! All measurements are in the tables of the first section. The two tables after it have those while the processors
//! were near and those while they were apart.

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
const USER: usize = 5;
const SYSTEM: usize = 6;
const MEMORY: usize = 7;
const ERRORS: usize = 8;
/// Highest core-to-core latency of near processors, in ns. Measured on these machines: 30 to 80 near, 300 to
/// 450 apart.
const NEAR_MAX: f64 = 150.0;
/// Core-to-core latency that core-latency prints if it could not measure it, in ns.
const NOT_MEASURED: f64 = 2000.0;
/// Height of a row of the chart, in pixels.
const ROW_HEIGHT: f64 = 15.0;
/// Distance of the bars from the left end of their column.
const BAR_LEFT: f64 = 110.0;
/// Length of the longest bar.
const MAX_BAR: f64 = 150.0;
/// Width of a column of the chart. It has two, with a scenario in each.
const COLUMN: f64 = 460.0;

/// The rounds of one server in one scenario.
type Rounds = Vec<[f64; FIELDS]>;
/// What is known of one server in one scenario.
#[derive(Default)]
struct Measured {
    server: String,
    rounds: Rounds,
    /// Why the server cannot run the scenario.
    reason: Option<String>,
}

/// Scenarios and their servers, both in the order of their first row.
type Results = Vec<(String, Vec<Measured>)>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [rows, title, table, chart] = &arguments[..] else {
        return Err("usage: table ROWS.tsv TITLE TABLE.md CHART.svg".into());
    };
    let results = parse(&fs::read_to_string(rows)?)?;
    let markdown = markdown(&results, title)?;
    print!("{markdown}");
    fs::write(table, markdown)?;
    fs::write(chart, svg(&results, title)?)?;
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
        let scenario_index = *indexes.entry((*scenario, "")).or_insert_with(|| {
            results.push(((*scenario).to_owned(), Vec::new()));
            results.len() - 1
        });
        let servers = &mut results[scenario_index].1;
        let index = *indexes.entry((*scenario, *server)).or_insert_with(|| {
            servers.push(Measured { server: (*server).to_owned(), ..Measured::default() });
            servers.len() - 1
        });
        if let [reason] = numbers {
            servers[index].reason = Some((*reason).to_owned());
            continue;
        }
        let parsed: Vec<f64> = numbers.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
        let numbers = <[f64; FIELDS]>::try_from(parsed).map_err(|_| format!("invalid row: {line}"))?;
        servers[index].rounds.push(numbers);
    }
    Ok(results)
}

/// Where the processors were during a measurement.
#[derive(Clone, Copy, PartialEq)]
enum Processors {
    Near,
    Apart,
    /// The core-to-core latency was not measured, or could not be: both threads ran on one processor.
    Unknown,
}

impl Processors {
    fn of(row: &[f64; FIELDS]) -> Self {
        match row[CORE_LATENCY] {
            latency if latency == 0.0 || latency >= NOT_MEASURED => Self::Unknown,
            latency if latency <= NEAR_MAX => Self::Near,
            _ => Self::Apart,
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Near => "Processors near: they shared a cache before and after the measurement",
            Self::Apart => "Processors apart: they shared no cache before or after the measurement",
            Self::Unknown => "Processors not known",
        }
    }

    fn select(self, rounds: &Rounds) -> Rounds {
        rounds.iter().filter(|row| Self::of(row) == self).copied().collect()
    }
}

/// Sorted values of one column, one from each round.
struct Sample(Vec<f64>);

impl Sample {
    fn of(rounds: &Rounds, field: usize) -> Self {
        Self::sorted(rounds.iter().map(|row| row[field]))
    }

    /// Returns the ratio to another server's value in the same round. The speed of the machine changes from
    /// round to round; a ratio does not depend on it.
    fn ratios(rounds: &Rounds, others: &Rounds, value: fn(&[f64; FIELDS]) -> f64) -> Self {
        let same_round = |row: &[f64; FIELDS]| others.iter().find(|other| other[ROUND] == row[ROUND]);
        Self::sorted(rounds.iter().filter_map(|row| Some(value(row) / value(same_round(row)?))))
    }

    fn sorted(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
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
    /// Writes median and range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lowest, highest) = self.range();
        match self.0.len() {
            0 => f.write_str("–"),
            _ => write!(f, "{:.2} ({lowest:.2}–{highest:.2})", self.median()),
        }
    }
}

fn cpu(row: &[f64; FIELDS]) -> f64 {
    row[USER] + row[SYSTEM]
}

fn markdown(results: &Results, title: &str) -> Result<String, std::fmt::Error> {
    let mut text = format!("{title}\n\n## All measurements\n");
    write_scenarios(&mut text, results)?;
    let all: Vec<_> = results.iter().flat_map(|(_, servers)| servers).flat_map(|one| &one.rounds).collect();
    let count = |processors| all.iter().filter(|row| Processors::of(row) == processors).count();
    if count(Processors::Unknown) == all.len() {
        return Ok(text + "\nWhere the processors were is not known.\n");
    }
    for processors in [Processors::Near, Processors::Apart] {
        write!(text, "\n## {}\n\n", processors.heading())?;
        if count(processors) == 0 {
            text.push_str("In this run there was no such measurement.\n");
        } else {
            writeln!(text, "{} of {} measurements.\n", count(processors), all.len())?;
            write_processors(&mut text, results, processors)?;
        }
    }
    if count(Processors::Unknown) > 0 {
        write!(
            text,
            "\n## {}\n\n{} of {} measurements, which are in the first section alone: other programs kept the \
             core-to-core latency from being measured.\n",
            Processors::Unknown.heading(),
            count(Processors::Unknown),
            all.len()
        )?;
    }
    Ok(text)
}

/// Writes the table of the measurements with these processors.
fn write_processors(text: &mut String, results: &Results, processors: Processors) -> fmt::Result {
    text.push_str(
        "| scenario | server | rounds | rate | ratio to the first (range) | CPU µs | ratio to the first (range) |\n\
         |---|---|--:|--:|--:|--:|--:|\n",
    );
    for (scenario, servers) in results {
        let first = servers.first().map(|first| processors.select(&first.rounds)).unwrap_or_default();
        for Measured { server, rounds, reason } in servers {
            let rounds = processors.select(rounds);
            if rounds.is_empty() {
                let reason = reason.as_deref().unwrap_or("no measurement");
                writeln!(text, "| {scenario} | {server} | 0 | {reason} | | | |")?;
                continue;
            }
            writeln!(
                text,
                "| {scenario} | {server} | {} | {} | {} | {:.2} | {} |",
                rounds.len(),
                grouped(Sample::of(&rounds, RATE).median()),
                Sample::ratios(&rounds, &first, |row| row[RATE]),
                Sample::sorted(rounds.iter().map(cpu)).median(),
                Sample::ratios(&rounds, &first, cpu),
            )?;
        }
    }
    Ok(())
}

/// Writes a table for each scenario, with all measurements.
fn write_scenarios(text: &mut String, results: &Results) -> fmt::Result {
    for (scenario, servers) in results {
        let Some(first) = servers.first() else { continue };
        write!(
            text,
            "\n**{scenario}**\n\n\
             | server | rounds | rate | ratio to {0} (range) | CPU µs (user + system) | ratio to {0} (range) | p50 ms | p99 ms | memory MiB | errors |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
            first.server
        )?;
        for Measured { server, rounds, reason } in servers {
            if rounds.is_empty() {
                let reason = reason.as_deref().unwrap_or("no measurement");
                writeln!(text, "| {server} | 0 | {reason} | | | | | | | |")?;
                continue;
            }
            let [rate, p50, p99, user, system, memory, errors] =
                [RATE, P50, P99, USER, SYSTEM, MEMORY, ERRORS]
                    .map(|field| Sample::of(rounds, field).median());
            let total = Sample::sorted(rounds.iter().map(cpu)).median();
            writeln!(
                text,
                "| {server} | {} | {} | {} | {total:.2} ({user:.2} + {system:.2}) | {} | {:.2} | {:.2} | {:.1} | {errors:.0} |",
                rounds.len(),
                grouped(rate),
                Sample::ratios(rounds, &first.rounds, |row| row[RATE]),
                Sample::ratios(rounds, &first.rounds, cpu),
                p50 / 1e3,
                p99 / 1e3,
                memory / 1024.0,
            )?;
        }
    }
    Ok(())
}

/// Returns the chart, of all measurements: a bar for the median of the rate, a line from the lowest to the highest
/// rate, and the CPU time for each message. Its colours follow the light or dark mode of the browser.
fn svg(results: &Results, title: &str) -> Result<String, std::fmt::Error> {
    let height_of = |pair: &[(String, Vec<Measured>)]| {
        ROW_HEIGHT * (pair.iter().map(|(_, servers)| servers.len()).max().unwrap_or(0) as f64 + 2.0)
    };
    let height = ROW_HEIGHT * 2.0 + results.chunks(2).map(height_of).sum::<f64>();
    let width = COLUMN * 2.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\">\
         <title>{}</title><style>\
         svg{{background:#fff}}text{{font:11px system-ui,sans-serif;fill:#1c1e21}}.s{{fill:#62676f;font-size:10px}}\
         .h{{font-weight:bold}}.e{{text-anchor:end}}rect{{fill:#9db4d6}}rect.us{{fill:#1d5fd0}}line{{stroke:#1c1e21;stroke-opacity:.55}}\
         @media(prefers-color-scheme:dark){{svg{{background:#14171b}}text{{fill:#e6e8eb}}.s{{fill:#9aa1ab}}\
         rect{{fill:#4a5f82}}rect.us{{fill:#7fb0ff}}line{{stroke:#fff}}}}</style>\n",
        escape(title)
    );
    writeln!(svg, "<text class=\"s\" x=\"10\" y=\"{ROW_HEIGHT}\">{}</text>", escape(title))?;
    let mut top = ROW_HEIGHT * 2.0;
    for pair in results.chunks(2) {
        for (column, (scenario, servers)) in pair.iter().enumerate() {
            write_chart(&mut svg, COLUMN * column as f64, top, scenario, servers)?;
        }
        top += height_of(pair);
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Writes the chart of one scenario.
fn write_chart(svg: &mut String, left: f64, top: f64, scenario: &str, servers: &[Measured]) -> fmt::Result {
    writeln!(
        svg,
        "<text class=\"h\" x=\"{:.0}\" y=\"{:.1}\">{}</text>",
        left + 10.0,
        top + 11.0,
        escape(scenario)
    )?;
    let best =
        servers.iter().map(|measured| Sample::of(&measured.rounds, RATE).range().1).fold(1e-9, f64::max);
    let bar_left = left + BAR_LEFT;
    for (row, Measured { server, rounds, reason }) in servers.iter().enumerate() {
        let y = top + ROW_HEIGHT * (row as f64 + 1.0);
        writeln!(
            svg,
            "<text class=\"e\" x=\"{:.0}\" y=\"{:.1}\">{}</text>",
            bar_left - 6.0,
            y + 11.0,
            escape(server)
        )?;
        if rounds.is_empty() {
            let reason = reason.as_deref().unwrap_or("no measurement");
            writeln!(
                svg,
                "<text class=\"s\" x=\"{bar_left:.0}\" y=\"{:.1}\">{}</text>",
                y + 11.0,
                escape(reason)
            )?;
            continue;
        }
        let rates = Sample::of(rounds, RATE);
        let (rate, (lowest, highest)) = (rates.median(), rates.range());
        let cpu = Sample::sorted(rounds.iter().map(cpu)).median();
        let middle = y + ROW_HEIGHT / 2.0;
        let x_of = |rate: f64| bar_left + rate / best * MAX_BAR;
        let class = if server.starts_with("ws-echo") { " class=\"us\"" } else { "" };
        writeln!(
            svg,
            "<rect{class} x=\"{bar_left:.0}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.0}\" rx=\"2\"/>\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
             <text class=\"s\" x=\"{:.1}\" y=\"{:.1}\">{}/s, CPU {cpu:.1} µs</text>",
            y + 2.0,
            x_of(rate) - bar_left,
            ROW_HEIGHT - 4.0,
            x_of(lowest),
            x_of(highest),
            x_of(highest) + 6.0,
            y + 11.0,
            grouped(rate),
        )?;
    }
    Ok(())
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
