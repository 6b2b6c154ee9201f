//! Compares the JSON of two runs, for `ws-load compare`.
//!
//! A change is noted as more than the spread if it is larger than the standard deviation of the figure over
//! the seconds of either run. Figures without a series have no spread.

use crate::{error::LoadError, numbers, text};
use serde_json::Value;
use std::{fmt, fs, path::Path};

/// The `schema` of the files that are read.
const SCHEMA: u64 = 1;
/// Largest file that is read, in bytes. One of this program has at most a hundredth of it.
const MAX_FILE: u64 = 64 << 20;
/// With fewer points a series has no spread.
const FEWEST_POINTS: usize = 3;
/// Points of the series that are shorter than this are left out, in seconds.
const WHOLE_SECOND: f64 = 0.9;
/// Options that make figures incomparable if they differ, with the names of the JSON.
const CONDITIONS: [&str; 7] =
    ["/url", "/options", "/machine", "/tool", "/rate_asked", "/measured_seconds", "/schema"];

/// The name of the figure of `--find`. Its spread is that of the rounds.
const FOUND: &str = "found rate";

/// How a figure is formatted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Micros,
    PerSecond,
    Count,
}

/// The figures: name, place in the JSON, place in a point of the series, unit.
const FIGURES: [(&str, &str, Option<&str>, Unit); 19] = [
    (FOUND, "/found/rate", None, Unit::PerSecond),
    ("rate", "/rate", Some("rate"), Unit::PerSecond),
    ("MiB/s", "/mib_per_second", None, Unit::PerSecond),
    ("mean", "/corrected/mean_us", None, Unit::Micros),
    ("p50", "/corrected/p50_us", Some("p50_us"), Unit::Micros),
    ("p90", "/corrected/p90_us", None, Unit::Micros),
    ("p95", "/corrected/p95_us", None, Unit::Micros),
    ("p99", "/corrected/p99_us", Some("p99_us"), Unit::Micros),
    ("p99.9", "/corrected/p999_us", None, Unit::Micros),
    ("max", "/corrected/max_us", Some("max_us"), Unit::Micros),
    ("raw p50", "/raw/p50_us", None, Unit::Micros),
    ("raw p99", "/raw/p99_us", None, Unit::Micros),
    ("opening p99", "/opening/p99_us", None, Unit::Micros),
    ("cycle p99", "/cycle/p99_us", None, Unit::Micros),
    ("gap p50", "/gap/p50_us", Some("p50_us"), Unit::Micros),
    ("gap p99", "/gap/p99_us", Some("p99_us"), Unit::Micros),
    ("compression", "/compression/mean_us", None, Unit::Micros),
    ("missing", "/counts/missing", None, Unit::Count),
    ("errors", "/errors", None, Unit::Count),
];

/// One figure of both runs.
#[derive(Debug)]
struct Row {
    name: &'static str,
    unit: Unit,
    values: [Option<f64>; 2],
    /// The larger standard deviation of the two series.
    spread: Option<f64>,
}

/// The comparison of two runs. Its text is a table.
#[derive(Debug)]
pub struct Comparison {
    names: [String; 2],
    rows: Vec<Row>,
    /// The conditions that differ.
    differences: Vec<String>,
    /// Why runs are doubtful.
    notes: Vec<String>,
}

impl Comparison {
    /// Reads the JSON files of two runs.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read or is not the JSON of a run.
    pub(crate) fn read(paths: [&Path; 2]) -> Result<Self, LoadError> {
        let [before, after] = paths.map(read);
        let runs = [before?, after?];
        let rows = FIGURES.iter().map(|(name, place, point, unit)| Row {
            name,
            unit: *unit,
            values: runs.each_ref().map(|run| run.pointer(place).and_then(Value::as_f64)),
            spread: if *name == FOUND { spread_of_rounds(&runs) } else { None }.or(point.and_then(|point| {
                let [one, two] = runs.each_ref().map(|run| deviation(run, point));
                Some(one?.max(two?))
            })),
        });
        let rows = rows.filter(|row| row.values.iter().any(Option::is_some)).collect();
        let names = paths.map(|path| path.display().to_string());
        let differences = CONDITIONS
            .iter()
            .filter(|place| is_different(&runs, place))
            .flat_map(|place| differences(&place[1..], runs.each_ref().map(|run| run.pointer(place))))
            .collect();
        let mut notes = Vec::new();
        for (name, run) in names.iter().zip(&runs) {
            notes.extend(doubts(run).map(|doubt| format!("{name}: {doubt}")));
        }
        Ok(Self { names, rows, differences, notes })
    }
}

fn read(path: &Path) -> Result<Value, LoadError> {
    let problem = |problem: String| LoadError::Content { path: path.to_owned(), problem };
    let size = fs::metadata(path).map_err(|error| LoadError::file(path, error))?.len();
    if size > MAX_FILE {
        return Err(problem(format!("{size} bytes, and the JSON of a run has at most {MAX_FILE}")));
    }
    let text = fs::read_to_string(path).map_err(|error| LoadError::file(path, error))?;
    let run: Value = serde_json::from_str(&text).map_err(|error| problem(error.to_string()))?;
    match run.get("schema").and_then(Value::as_u64) {
        Some(SCHEMA) => Ok(run),
        Some(other) => Err(problem(format!("schema {other}, and this program reads {SCHEMA}"))),
        None => Err(problem("not the JSON of a run (--json)".into())),
    }
}

/// Returns the larger distance of the highest from the lowest result of the rounds of `--find`.
fn spread_of_rounds(runs: &[Value; 2]) -> Option<f64> {
    let of = |run: &Value| {
        let [lowest, highest] = ["lowest", "highest"].map(|name| run["found"][name].as_f64());
        Some(highest? - lowest?)
    };
    Some(of(&runs[0])?.max(of(&runs[1])?))
}

/// Returns the standard deviation of a figure over the whole seconds of a run.
fn deviation(run: &Value, point: &str) -> Option<f64> {
    let series = run.get("series")?.as_array()?;
    let is_whole = |second: &&Value| {
        second.get("seconds").and_then(Value::as_f64).is_some_and(|seconds| seconds >= WHOLE_SECOND)
    };
    let values: Vec<f64> =
        series.iter().filter(is_whole).filter_map(|second| second.get(point)?.as_f64()).collect();
    if values.len() < FEWEST_POINTS {
        return None;
    }
    let count = numbers::u64_to_f64(numbers::usize_to_u64(values.len()));
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (count - 1.0)).sqrt())
}

/// Returns whether a condition differs. Measured times of the same length to a tenth are equal.
fn is_different(runs: &[Value; 2], place: &str) -> bool {
    let [one, two] = runs.each_ref().map(|run| run.pointer(place));
    match (one.and_then(Value::as_f64), two.and_then(Value::as_f64)) {
        (Some(one), Some(two)) => (one - two).abs() > 0.1 * one.max(two),
        _ => one != two,
    }
}

/// Returns what differs between two values, as lines "name: of a / of b". Objects are compared by their names.
fn differences(name: &str, values: [Option<&Value>; 2]) -> Vec<String> {
    let words = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_f64() => {
            number.as_f64().map_or_else(String::new, |number| format!("{number:.1}"))
        }
        Some(other) => other.to_string(),
    };
    let [Some(Value::Object(one)), Some(Value::Object(two))] = values else {
        return vec![format!("{name}: {} / {}", words(values[0]), words(values[1]))];
    };
    let mut names: Vec<&String> = one.keys().chain(two.keys()).collect();
    names.sort();
    names.dedup();
    let pairs = names.into_iter().map(|name| (name, [one.get(name), two.get(name)]));
    pairs
        .filter(|(_, pair)| pair[0] != pair[1])
        .map(|(name, pair)| format!("{name}: {} / {}", words(pair[0]), words(pair[1])))
        .collect()
}

/// Returns why the figures of a run may not be those of the server.
fn doubts(run: &Value) -> impl Iterator<Item = &'static str> {
    let is = |place: &str, value: bool| run.pointer(place).and_then(Value::as_bool) == Some(value);
    [
        (is("/interrupted", true), "a signal ended the run."),
        (is("/generator/kept_schedule", false), "the generator could not keep its schedule."),
        (is("/generator/starved", true), "the machine had no CPU for the generator."),
        (is("/generator/saturated", true), "the generator was busy all the time."),
    ]
    .into_iter()
    .filter_map(|(is_true, words)| is_true.then_some(words))
}

impl Row {
    fn format(&self, value: Option<f64>) -> String {
        match (value, self.unit) {
            (None, _) => "–".into(),
            (_, Unit::Micros) => text::micros(value),
            (Some(value), Unit::PerSecond) if value < 1000.0 => format!("{value:.3}"),
            (Some(value), _) => text::grouped(numbers::f64_to_u64(value)),
        }
    }

    /// Returns the change in percent, and what it means.
    fn change(&self) -> (String, &'static str) {
        let [Some(before), Some(after)] = self.values else { return ("–".into(), "") };
        let change = numbers::quotient((after - before) * 100.0, before);
        let change = change.map_or_else(
            || if after > before { "new".into() } else { "0.0 %".into() },
            |change| format!("{change:+.1} %"),
        );
        let meaning = match self.spread {
            Some(spread) if (after - before).abs() > spread => "more than the spread",
            Some(_) => "within the spread",
            None => "",
        };
        (change, meaning)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "a: {}\nb: {}\n", self.names[0], self.names[1])?;
        writeln!(f, "  {:<12} {:>12} {:>12} {:>10} {:>10}", "", "a", "b", "change", "spread")?;
        for row in &self.rows {
            let [before, after] = row.values.map(|value| row.format(value));
            let (change, meaning) = row.change();
            let spread = row.format(row.spread);
            let line =
                format!("  {:<12} {before:>12} {after:>12} {change:>10} {spread:>10}  {meaning}", row.name);
            writeln!(f, "{}", line.trim_end())?;
        }
        if self.rows.iter().any(|row| row.spread.is_none()) {
            writeln!(f, "\n  –: no spread, which needs a series with {FEWEST_POINTS} seconds in both runs")?;
        }
        if !self.differences.is_empty() {
            writeln!(f, "\n  The runs differ, a / b:")?;
        }
        self.differences.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  note         {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn comparison_spread_is_the_deviation_of_whole_seconds() {
        let point = |seconds: f64, rate: f64| json!({ "seconds": seconds, "rate": rate });
        let run =
            json!({ "series": [point(1.0, 90.0), point(1.0, 100.0), point(1.0, 110.0), point(0.4, 900.0)] });
        assert_eq!(deviation(&run, "rate"), Some(10.0));
        assert_eq!(deviation(&run, "p50_us"), None);
        assert_eq!(deviation(&json!({ "series": [point(1.0, 1.0)] }), "rate"), None);
    }

    #[test]
    fn comparison_tells_a_change_from_the_spread() {
        let row = |after, spread| Row {
            name: "rate",
            unit: Unit::PerSecond,
            values: [Some(100.0), Some(after)],
            spread,
        };
        assert_eq!(row(120.0, Some(10.0)).change(), ("+20.0 %".into(), "more than the spread"));
        assert_eq!(row(95.0, Some(10.0)).change(), ("-5.0 %".into(), "within the spread"));
        assert_eq!(row(95.0, None).change(), ("-5.0 %".into(), ""));
    }
}
