//! Makes the table and the drawing of scripts/compare out of its rows: medians over the rounds.
//!
//! usage: table ROWS.tsv TITLE NEAREST TABLE.md DRAWING.svg
//!
//! A row is scenario, server, round, time of a cache line between the processors in ns, rate, p50 and p99 in µs, user and
//! system CPU in µs a message, memory in KiB, errors. NEAREST is the shortest that such a time ever was, 0 if nobody looked.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::{self, Write},
    fs,
};

/// Numbers in a row, after its scenario and its server.
const FIELDS: usize = 9;
/// Which of them is what.
const ROUND: usize = 0;
const DISTANCE: usize = 1;
const RATE: usize = 2;
const P50: usize = 3;
const P99: usize = 4;
/// Processors are apart when a cache line takes so many times as long as it ever did. scripts/compare has the same factor.
const APART: f64 = 3.0;
/// Measures of the drawing.
const ROW: f64 = 20.0;
const BARS: f64 = 190.0;
const LONGEST: f64 = 300.0;
const WIDTH: f64 = 720.0;

/// The rounds of one server in one scenario.
type Rounds = Vec<[f64; FIELDS]>;
/// Scenarios in the order of their first row, each with its servers in theirs.
type Results = Vec<(String, Vec<(String, Rounds)>)>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [rows, title, nearest, table, drawing] = &arguments[..] else {
        return Err("usage: table ROWS.tsv TITLE NEAREST TABLE.md DRAWING.svg".into());
    };
    let mut results = read(&fs::read_to_string(rows)?)?;
    let distance = leave_out_apart(&mut results, nearest.parse()?);
    let markdown = markdown(&results, title, &distance)?;
    print!("{markdown}");
    fs::write(table, markdown)?;
    fs::write(drawing, svg(&results, title, &distance)?)?;
    Ok(())
}

fn read(text: &str) -> Result<Results, Box<dyn Error>> {
    let mut results = Results::new();
    let mut places = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        let [scenario, server, numbers @ ..] = &words[..] else {
            return Err(format!("bad row: {line}").into());
        };
        let parsed: Vec<f64> = numbers.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
        let numbers = <[f64; FIELDS]>::try_from(parsed).map_err(|_| format!("bad row: {line}"))?;
        let scenario_place = *places.entry((*scenario, "")).or_insert_with(|| {
            results.push(((*scenario).to_owned(), Vec::new()));
            results.len() - 1
        });
        let servers = &mut results[scenario_place].1;
        let place = *places.entry((*scenario, *server)).or_insert_with(|| {
            servers.push(((*server).to_owned(), Vec::new()));
            servers.len() - 1
        });
        servers[place].1.push(numbers);
    }
    Ok(results)
}

/// Leaves out what was measured while the processors were apart, unless there is nothing else of that server. Returns
/// what to say of it.
fn leave_out_apart(results: &mut Results, nearest: f64) -> String {
    let near = |row: &[f64; FIELDS]| row[DISTANCE] <= nearest * APART;
    let (mut left_out, mut kept) = (0, 0);
    for (_, rounds) in results.iter_mut().flat_map(|(_, servers)| servers) {
        let all = rounds.len();
        if rounds.iter().any(near) {
            rounds.retain(near);
            left_out += all - rounds.len();
        } else {
            kept += all;
        }
    }
    if nearest == 0.0 {
        return String::new();
    }
    let mut text = format!("{nearest:.0} ns for a cache line between the processors and back");
    for (count, what) in [(left_out, "left out"), (kept, "kept")] {
        if count > 0 {
            text += &format!("; {count} measured with more {what}");
        }
    }
    text
}

/// Some values of a measure, one from each round.
struct Sample(Vec<f64>);

impl Sample {
    fn of(rounds: &Rounds, field: usize) -> Self {
        Self::sorted(rounds.iter().map(|row| row[field]))
    }

    /// The rate in parts of that of another server in the same round. The machine's own pace changes from round to
    /// round, and cancels out.
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

    /// The lowest and the highest.
    fn range(&self) -> (f64, f64) {
        (self.0.first().copied().unwrap_or(f64::NAN), self.0.last().copied().unwrap_or(f64::NAN))
    }
}

impl fmt::Display for Sample {
    /// Median, range and size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lowest, highest) = self.range();
        match self.0.len() {
            0 => f.write_str("–"),
            size => write!(f, "{:.2} ({lowest:.2}–{highest:.2}, {size})", self.median()),
        }
    }
}

fn markdown(results: &Results, title: &str, distance: &str) -> Result<String, std::fmt::Error> {
    let mut text = format!("{title}\n\n{distance}\n");
    for (scenario, servers) in results {
        let Some((first, first_rounds)) = servers.first() else { continue };
        write!(
            text,
            "\n**{scenario}**\n\n\
             | server | rate | of {first}'s (range, rounds) | p50 ms | p99 ms | user µs | system µs | memory MiB | errors |\n\
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

/// Bars for the rate, a line from its lowest to its highest, and the p99 beside them; light or dark as the reader has it.
fn svg(results: &Results, title: &str, distance: &str) -> Result<String, std::fmt::Error> {
    let rows: usize = results.iter().map(|(_, servers)| servers.len() + 2).sum();
    let height = ROW * (rows as f64 + 3.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\
         <title>{}</title><style>\
         svg{{background:#fff}}text{{font:13px system-ui,sans-serif;fill:#1c1e21}}.s{{fill:#62676f;font-size:12px}}\
         .h{{font-weight:bold}}.e{{text-anchor:end}}rect{{fill:#9db4d6}}rect.us{{fill:#1d5fd0}}line{{stroke:#1c1e21;stroke-opacity:.55}}\
         @media(prefers-color-scheme:dark){{svg{{background:#14171b}}text{{fill:#e6e8eb}}.s{{fill:#9aa1ab}}\
         rect{{fill:#4a5f82}}rect.us{{fill:#7fb0ff}}line{{stroke:#fff}}}}</style>\n",
        escape(title)
    );
    let mut y = ROW;
    for line in [title, distance] {
        writeln!(svg, "<text class=\"s\" x=\"10\" y=\"{y}\">{}</text>", escape(line))?;
        y += ROW;
    }
    for (scenario, servers) in results {
        y += ROW * 0.7;
        writeln!(svg, "<text class=\"h\" x=\"10\" y=\"{y}\">{}</text>", escape(scenario))?;
        y += ROW * 0.3;
        let rates = |rounds| Sample::of(rounds, RATE);
        let best = servers.iter().map(|(_, rounds)| rates(rounds).range().1).fold(1e-9, f64::max);
        for (server, rounds) in servers {
            let (rates, p99) = (rates(rounds), Sample::of(rounds, P99).median());
            let (rate, (lowest, highest)) = (rates.median(), rates.range());
            let middle = y + ROW / 2.0;
            let at = |rate: f64| BARS + rate / best * LONGEST;
            let class = if server.starts_with("ws-echo") { " class=\"us\"" } else { "" };
            writeln!(
                svg,
                "<text class=\"e\" x=\"{:.0}\" y=\"{:.1}\">{}</text>\
                 <rect{class} x=\"{BARS}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.0}\" rx=\"2\"/>\
                 <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
                 <text class=\"s\" x=\"{:.1}\" y=\"{:.1}\">{}/s, p99 {:.2} ms</text>",
                BARS - 8.0,
                y + 14.0,
                escape(server),
                y + 3.0,
                at(rate) - BARS,
                ROW - 6.0,
                at(lowest),
                at(highest),
                at(highest) + 6.0,
                y + 14.0,
                grouped(rate),
                p99 / 1e3,
            )?;
            y += ROW;
        }
        y += ROW;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Thousands apart.
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
