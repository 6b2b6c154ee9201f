//! The interval log of `HdrHistogram`, version 2, which is written while the run goes on.
//!
//! Values are nanoseconds. The maximum of each line is in milliseconds, as the usual tools expect. Lines
//! without a tag contain the corrected latencies.

use super::{
    log_format::{LOG_VERSION, LoggedRun, LoggedTotals, RUN_COMMENT, TAGS, TOTALS_COMMENT, unix_nanos},
    report::Report,
    run_info::RunInfo,
};
use crate::{
    error::LoadError,
    numbers,
    runner::outcome::SecondFigures,
    stats::{
        counters::Count,
        recorder::{Metric, Recorder},
    },
    workload::output_files::is_standard_output,
};
use hdrhistogram::{
    Histogram,
    serialization::{Serializer, V2DeflateSerializer},
};
use serde::Serialize;
use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    time::{Duration, Instant, SystemTime},
};

/// Nanoseconds per unit of the maximum column, which is milliseconds.
const MAX_VALUE_DIVISOR: f64 = 1e6;

/// A log that is being written. Its times count from its creation.
pub(crate) struct HdrLog {
    path: PathBuf,
    /// `None` until a connection is open: a run that fails keeps the log of an earlier one.
    file: Option<Box<dyn Write>>,
    /// The figures before that, and their start.
    early: Recorder,
    early_start: Option<Duration>,
    run: LoggedRun,
    begun: SystemTime,
    /// When the measured time starts.
    measured_from: Option<SystemTime>,
    serializer: V2DeflateSerializer,
    encoded: Vec<u8>,
}

impl HdrLog {
    /// Creates the log, and the file only when a connection is open.
    pub(crate) fn new(path: &Path, info: &RunInfo) -> Self {
        let begun = SystemTime::now();
        let options = info.options.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let run = LoggedRun {
            version: LOG_VERSION,
            tool: Report::tool(),
            id: format!("{}-{}", unix_nanos(begun), process::id()),
            url: info.url.clone(),
            options: options.collect(),
            machine: info.machine.clone(),
            rate_asked: info.rate_asked(),
        };
        Self {
            path: path.to_owned(),
            file: None,
            early: Recorder::new(),
            early_start: None,
            run,
            begun,
            measured_from: None,
            serializer: V2DeflateSerializer::new(),
            encoded: Vec::new(),
        }
    }

    /// Sets the start of the measured time.
    pub(crate) fn set_measured_from(&mut self, moment: Instant) {
        self.measured_from = SystemTime::now().checked_add(moment.saturating_duration_since(Instant::now()));
    }

    /// Writes the first lines, which describe the run.
    fn write_run(&mut self) -> Result<(), LoadError> {
        let begun = self.begun.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let text = format!(
            "#[Histogram log format version 1.3]\n#[{}: {}, nanoseconds]\n\
             #[StartTime: {begun:.3} (seconds since epoch)]\n#[BaseTime: {begun:.3} (seconds since epoch)]\n\
             #[MaxValueDivisor: {MAX_VALUE_DIVISOR:.3}]\n{}",
            self.run.tool,
            self.run.url.escape_debug(),
            comment(RUN_COMMENT, &self.run),
        );
        self.write(&text)
    }

    /// Writes a line for every histogram that is not empty, and in the measured time always one for the
    /// corrected latency.
    pub(crate) fn write_second(&mut self, second: &SecondFigures) -> Result<(), LoadError> {
        let measured = second.measured.is_some();
        if self.file.is_some() {
            return self.write_lines(&second.recorder, second.start, second.end, measured);
        }
        let start = *self.early_start.get_or_insert(second.start);
        self.early.merge(&second.recorder);
        if self.early.counters.get(Count::Opened) == 0 {
            return Ok(());
        }
        self.file = Some(if is_standard_output(&self.path) {
            Box::new(io::stdout())
        } else {
            Box::new(
                File::create(&self.path).map_err(|error| LoadError::named("--hdr-log", &self.path, error))?,
            )
        });
        self.write_run()?;
        let early = std::mem::replace(&mut self.early, Recorder::new());
        self.write_lines(&early, start, second.end, measured)
    }

    fn write_lines(
        &mut self,
        recorder: &Recorder,
        start: Duration,
        end: Duration,
        measured: bool,
    ) -> Result<(), LoadError> {
        for (metric, tag) in TAGS {
            let histogram = recorder.histogram(metric);
            if !histogram.is_empty() || (measured && metric == Metric::Corrected) {
                self.write_line(tag, start, end.saturating_sub(start), histogram)?;
            }
        }
        Ok(())
    }

    fn write_line(
        &mut self,
        tag: Option<&str>,
        start: Duration,
        span: Duration,
        histogram: &Histogram<u64>,
    ) -> Result<(), LoadError> {
        self.encoded.clear();
        self.serializer.serialize(histogram, &mut self.encoded).map_err(|error| {
            LoadError::named("--hdr-log", &self.path, io::Error::other(error.to_string()))
        })?;
        let mut line = tag.map_or_else(String::new, |tag| format!("Tag={tag},"));
        let max = numbers::u64_to_f64(histogram.max()) / MAX_VALUE_DIVISOR;
        // Writing into a string cannot fail.
        let _ = write!(line, "{:.3},{:.3},{max:.3},", start.as_secs_f64(), span.as_secs_f64());
        data_encoding::BASE64.encode_append(&self.encoded, &mut line);
        line.push('\n');
        self.write(&line)
    }

    /// Writes the totals of the run, which end the log.
    pub(crate) fn write_totals(mut self, report: &Report) -> Result<(), LoadError> {
        let generator = &report.generator;
        let totals = LoggedTotals {
            measured_from_ns: unix_nanos(self.measured_from.unwrap_or_else(SystemTime::now)),
            measured_ns: numbers::nanos(
                Duration::try_from_secs_f64(report.measured_seconds.unwrap_or_default()).unwrap_or_default(),
            ),
            opening_seconds: report.opening_seconds,
            interrupted: report.interrupted,
            open_at_end: report.open_at_end,
            open_peak: report.open_peak,
            rate_reached: report.rate_reached,
            kept_schedule: generator.kept_schedule,
            sent_late: generator.sent_late,
            in_flight_limit: generator.in_flight_limit,
            saturated: generator.saturated,
            starved: generator.starved,
            waited: generator.waited,
            busy: generator.busy,
            cpu_user_seconds: generator.cpu_user_seconds,
            cpu_system_seconds: generator.cpu_system_seconds,
            counters: Count::ALL.iter().map(|count| (count.name().to_owned(), report.get(*count))).collect(),
            reasons: report.reasons.clone(),
        };
        self.write(&comment(TOTALS_COMMENT, &totals))
    }

    /// Writes whole lines with one system call, so that they are in the file if this process is killed.
    fn write(&mut self, lines: &str) -> Result<(), LoadError> {
        // Without a file no connection was open, and there is nothing to keep.
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(lines.as_bytes()));
        written.map_err(|error| LoadError::named("--hdr-log", &self.path, error))
    }
}

/// Returns a comment line with JSON, which contains no line break.
fn comment(start: &str, content: &impl Serialize) -> String {
    format!("{start}{}\n", serde_json::to_string(content).unwrap_or_default())
}
