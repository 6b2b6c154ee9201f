//! Reads interval logs and adds them up, for `ws-load merge`. Refuses what cannot be added.

use super::{
    host_info::HostInfo,
    log_format::{
        LOG_VERSION, LoggedRun, LoggedTotals, RUN_COMMENT, TAGS, TOTALS_COMMENT, VERSION_1_COMMENT, utc,
    },
};
use crate::{
    error::LoadError,
    stats::{
        counters::{CauseCount, Count, RunCounters},
        recorder::Recorder,
    },
};
use hdrhistogram::{
    Histogram,
    serialization::{
        Deserializer,
        interval_log::{IntervalLogHistogram, IntervalLogIterator, LogEntry, Tag},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    time::Duration,
};

/// Longest line that is read, in bytes. A full histogram of this program takes a tenth of it.
const MAX_LINE: u64 = 4 << 20;

/// One log, without its histograms.
#[derive(Debug)]
pub(crate) struct ReadLog {
    pub(crate) path: PathBuf,
    pub(crate) run: LoggedRun,
    pub(crate) totals: LoggedTotals,
}

/// The sum of several logs of runs that took place at the same time.
#[derive(Debug)]
pub(crate) struct MergedLogs {
    pub(crate) total: Recorder,
    pub(crate) logs: Vec<ReadLog>,
}

impl MergedLogs {
    /// Reads the logs. Fails if one of them is no complete log, if two are of the same run, or if the runs
    /// were not measured at the same time.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, LoadError> {
        let mut merged = Self { total: Recorder::new(), logs: Vec::new() };
        for path in paths {
            let log = LogReader::open(path)?.read(&mut merged.total)?;
            if let Some(same) = merged.logs.iter().find(|known| known.run.id == log.run.id) {
                return Err(content(path, format!("the same run as {}", same.path.display())));
            }
            add_totals(&mut merged.total.counters, &log.totals);
            merged.logs.push(log);
        }
        merged.check_overlap()?;
        Ok(merged)
    }

    /// Fails if there is no moment at which all runs were measured.
    fn check_overlap(&self) -> Result<(), LoadError> {
        let first_end = self.logs.iter().min_by_key(|log| log.totals.span().1);
        let last_start = self.logs.iter().max_by_key(|log| log.totals.span().0);
        let (Some(early), Some(late)) = (first_end, last_start) else { return Ok(()) };
        let (end, start) = (early.totals.span().1, late.totals.span().0);
        if end > start || self.logs.len() == 1 {
            return Ok(());
        }
        Err(content(
            &late.path,
            format!(
                "measured from {}, after {} had ended ({}): the rates of runs one after the other cannot be \
                 added",
                utc(start),
                early.path.display(),
                utc(end)
            ),
        ))
    }

    /// Returns the time that all runs have in common, and the longest measured time, in nanoseconds.
    pub(crate) fn common_and_longest(&self) -> (u64, u64) {
        let spans = || self.logs.iter().map(|log| log.totals.span());
        let end = spans().map(|(_, end)| end).min().unwrap_or(0);
        let start = spans().map(|(start, _)| start).max().unwrap_or(0);
        let longest = spans().map(|(start, end)| end - start).max().unwrap_or(0);
        (end.saturating_sub(start), longest)
    }
}

/// One of the runs that were merged.
#[derive(Debug, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the JSON")]
pub struct MergedRun {
    /// Its interval log.
    pub log: String,
    /// Name and version of the program.
    pub tool: String,
    /// Where the load went.
    pub url: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
    /// The host of the program.
    pub machine: HostInfo,
    /// Start of its measured time, in UTC.
    pub measured_from: String,
    /// Length of its measured time.
    pub measured_seconds: f64,
    /// The user ended the run early.
    pub interrupted: bool,
    /// Valid replies per second in its measured time.
    pub rate: Option<f64>,
    /// The requested rate (`--rate`).
    pub rate_asked: Option<u64>,
    /// It sent on time, apart from delays that the server caused.
    pub kept_schedule: bool,
    /// Its threads were busy all the time.
    pub saturated: bool,
    /// Its threads waited for a processor so long that it shows in the latencies.
    pub starved: bool,
}

impl MergedRun {
    pub(super) fn of(log: &ReadLog) -> Self {
        let ReadLog { path, run, totals } = log;
        Self {
            log: path.display().to_string(),
            tool: run.tool.clone(),
            url: run.url.clone(),
            options: run.options.clone(),
            machine: run.machine.clone(),
            measured_from: utc(totals.measured_from_ns),
            measured_seconds: Duration::from_nanos(totals.measured_ns).as_secs_f64(),
            interrupted: totals.interrupted,
            rate: totals.rate(),
            rate_asked: run.rate_asked,
            kept_schedule: totals.kept_schedule,
            saturated: totals.saturated,
            starved: totals.starved,
        }
    }
}

/// Reads one log line by line, because it may be larger than the memory.
struct LogReader<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    deserializer: Deserializer,
    /// Number of the current line.
    number: u64,
    run: Option<LoggedRun>,
    totals: Option<LoggedTotals>,
}

impl<'a> LogReader<'a> {
    fn open(path: &'a Path) -> Result<Self, LoadError> {
        let file = File::open(path).map_err(|error| LoadError::file(path, error))?;
        Ok(Self {
            path,
            reader: BufReader::new(file),
            deserializer: Deserializer::new(),
            number: 0,
            run: None,
            totals: None,
        })
    }

    /// Adds the histograms to `total`, and returns the rest.
    fn read(mut self, total: &mut Recorder) -> Result<ReadLog, LoadError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = self.reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            if read.map_err(|error| LoadError::file(self.path, error))? == 0 {
                break;
            }
            self.number += 1;
            let whole = line.last() == Some(&b'\n');
            if !whole {
                line.push(b'\n');
            }
            let result = self.on_line(&line, total);
            if let Err(problem) = result {
                let problem = if whole { problem } else { "cut off in the middle of this line".into() };
                return Err(content(self.path, format!("line {}: {problem}", self.number)));
            }
        }
        if self.number == 0 {
            return Err(content(self.path, "empty: no connection of the run was opened".into()));
        }
        let Some(run) = self.run else {
            return Err(content(self.path, format!("no log of ws-load: no line starts with {RUN_COMMENT}")));
        };
        let Some(totals) = self.totals else {
            let problem =
                "cut off: the last line with the totals is missing, because the run goes on or was killed";
            return Err(content(self.path, problem.into()));
        };
        Ok(ReadLog { path: self.path.to_owned(), run, totals })
    }

    fn on_line(&mut self, line: &[u8], total: &mut Recorder) -> Result<(), String> {
        if self.totals.is_some() {
            return Err("more lines after the totals: several logs in one file".into());
        }
        if let Some(json) = line.strip_prefix(RUN_COMMENT.as_bytes()) {
            self.run = Some(run(json)?);
        } else if let Some(json) = line.strip_prefix(TOTALS_COMMENT.as_bytes()) {
            self.totals = Some(parse(json)?);
        } else if line.starts_with(VERSION_1_COMMENT.as_bytes()) {
            return Err(other_version(1));
        } else {
            for entry in IntervalLogIterator::new(line) {
                let entry = entry.map_err(|_| "not a line of an HdrHistogram interval log")?;
                if let LogEntry::Interval(interval) = entry {
                    self.interval(&interval, total)?;
                }
            }
        }
        Ok(())
    }

    /// Adds one line. Lines with an unknown tag are skipped.
    fn interval(&mut self, interval: &IntervalLogHistogram<'_>, total: &mut Recorder) -> Result<(), String> {
        let tag = interval.tag();
        let name = tag.as_ref().map(Tag::as_str);
        let Some((metric, _)) = TAGS.iter().find(|(_, tag)| *tag == name) else { return Ok(()) };
        let bytes = data_encoding::BASE64
            .decode(interval.encoded_histogram().as_bytes())
            .map_err(|error| error.to_string())?;
        let histogram: Histogram<u64> =
            self.deserializer.deserialize(&mut bytes.as_slice()).map_err(|error| error.to_string())?;
        total.merge_histogram(*metric, &histogram);
        Ok(())
    }
}

/// Parses the comment with the run, and checks its version first.
fn run(json: &[u8]) -> Result<LoggedRun, String> {
    let value: serde_json::Value = parse(json)?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(LOG_VERSION) => parse(json),
        Some(version) => Err(other_version(version)),
        None => Err("malformed comment of ws-load: it has no version".into()),
    }
}

fn other_version(version: u64) -> String {
    format!(
        "log version {version}, and this program reads version {LOG_VERSION}: run the same ws-load everywhere"
    )
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|error| format!("malformed comment of ws-load: {error}"))
}

fn content(path: &Path, problem: String) -> LoadError {
    LoadError::Content { path: path.to_owned(), problem }
}

/// Adds the counters and the reasons of a log.
fn add_totals(counters: &mut RunCounters, totals: &LoggedTotals) {
    for count in Count::ALL {
        counters.add(*count, totals.counters.get(count.name()).copied().unwrap_or(0));
    }
    for (reason, number) in &totals.reasons {
        counters.add_cause(reason, CauseCount { number: *number, ..CauseCount::default() });
    }
}
