//! The interval log of `HdrHistogram`, version 2: written while the run goes on, and read by `ws-load merge`.
//!
//! Values are nanoseconds. The maximum of each line is in milliseconds, as the usual tools expect. Lines
//! without a tag contain the corrected latencies. The counters of the run are in a comment at the end, which
//! other readers skip.

use crate::{
    error::LoadError,
    numbers,
    runner::outcome::SecondFigures,
    stats::{
        counters::Count,
        recorder::{Metric, Recorder},
    },
};
use hdrhistogram::{
    Histogram,
    serialization::{
        Deserializer, V2DeflateSerializer,
        interval_log::{
            IntervalLogHistogram, IntervalLogIterator, IntervalLogWriter, IntervalLogWriterBuilder, LogEntry,
            Tag,
        },
    },
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Nanoseconds per unit of the maximum column, which is milliseconds.
const MAX_VALUE_DIVISOR: f64 = 1e6;
/// Longest line that is read, in bytes. A full histogram of this program takes a tenth of it.
const MAX_LINE: u64 = 4 << 20;
/// How the comment with the counters starts.
const COUNTERS: &str = "#ws-load ";

/// The tags of the lines.
const TAGS: [(Metric, Option<&str>); 8] = [
    (Metric::Corrected, None),
    (Metric::Raw, Some("raw")),
    (Metric::Connect, Some("connect")),
    (Metric::Tls, Some("tls")),
    (Metric::Handshake, Some("handshake")),
    (Metric::Opening, Some("opening")),
    (Metric::Cycle, Some("cycle")),
    (Metric::Down, Some("down")),
];

/// The file and the serializer, which the log borrows.
pub(crate) struct HdrLogFile {
    path: PathBuf,
    file: BufWriter<File>,
    serializer: V2DeflateSerializer,
}

impl HdrLogFile {
    /// Creates the file.
    pub(crate) fn create(path: &Path) -> Result<Self, LoadError> {
        let file = File::create(path).map_err(|error| LoadError::file(path, error))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), serializer: V2DeflateSerializer::new() })
    }

    /// Starts the log. Its times count from now.
    pub(crate) fn begin(&mut self, url: &str) -> Result<HdrLog<'_>, LoadError> {
        let now = SystemTime::now();
        let writer = IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment(&format!(
                "[ws-load {}: {}, nanoseconds]",
                env!("CARGO_PKG_VERSION"),
                url.escape_debug()
            ))
            .with_start_time(now)
            .with_base_time(now)
            .with_max_value_divisor(MAX_VALUE_DIVISOR)
            .begin_log_with(&mut self.file, &mut self.serializer)
            .map_err(|error| LoadError::file(&self.path, error))?;
        Ok(HdrLog { path: &self.path, writer })
    }

    /// Writes what is buffered.
    pub(crate) fn finish(mut self) -> Result<(), LoadError> {
        self.file.flush().map_err(|error| LoadError::file(&self.path, error))
    }
}

/// A log that is being written.
pub(crate) struct HdrLog<'a> {
    path: &'a Path,
    writer: IntervalLogWriter<'a, 'a, BufWriter<File>, V2DeflateSerializer>,
}

impl HdrLog<'_> {
    /// Writes a line for every histogram that is not empty, and in the measured time always one for the
    /// corrected latency.
    pub(crate) fn write_second(&mut self, second: &SecondFigures) -> Result<(), LoadError> {
        let span = second.end.saturating_sub(second.start);
        for (metric, tag) in TAGS {
            let histogram = second.recorder.histogram(metric);
            if histogram.is_empty() && (second.measured.is_none() || metric != Metric::Corrected) {
                continue;
            }
            self.writer
                .write_histogram(histogram, second.start, span, tag.and_then(Tag::new))
                .map_err(|error| LoadError::file(self.path, io::Error::other(error.to_string())))?;
        }
        Ok(())
    }

    /// Writes the counters of the whole run, which ends the log.
    pub(crate) fn write_totals(mut self, total: &Recorder, measured: Duration) -> Result<(), LoadError> {
        let counters: BTreeMap<_, _> =
            Count::ALL.iter().map(|count| (count.name(), total.counters.get(*count))).collect();
        let line = serde_json::json!({ "measured_ns": numbers::nanos(measured), "counters": counters });
        let comment = format!("{}{line}", &COUNTERS[1..]);
        self.writer.write_comment(&comment).map_err(|error| LoadError::file(self.path, error))
    }
}

/// The sum of several logs.
pub(crate) struct MergedLogs {
    pub(crate) total: Recorder,
    /// The longest measured time: the runs are assumed to have taken place at the same time.
    pub(crate) measured: Duration,
}

impl MergedLogs {
    pub(crate) fn new() -> Self {
        Self { total: Recorder::new(), measured: Duration::ZERO }
    }

    /// Adds the log at `path`. Reads it line by line, because it may be larger than the memory.
    pub(crate) fn read(&mut self, path: &Path) -> Result<(), LoadError> {
        let file = File::open(path).map_err(|error| LoadError::file(path, error))?;
        let mut reader = BufReader::new(file);
        let mut deserializer = Deserializer::new();
        let (mut line, mut number) = (Vec::new(), 0_u64);
        let (mut first, mut last) = (None, Duration::ZERO);
        let mut counted = None;
        loop {
            line.clear();
            number += 1;
            let length = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            if length.map_err(|error| LoadError::file(path, error))? == 0 {
                break;
            }
            let problem = |problem: &str| LoadError::Content {
                path: path.to_owned(),
                problem: format!("line {number}: {problem}"),
            };
            if line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            if let Some(json) = line.strip_prefix(COUNTERS.as_bytes()) {
                counted = Some(self.counters(json).ok_or_else(|| problem("malformed counters of ws-load"))?);
                continue;
            }
            for entry in IntervalLogIterator::new(&line) {
                let entry = entry.map_err(|_| problem("not a line of an HdrHistogram interval log"))?;
                if let LogEntry::Interval(interval) = entry {
                    let tagged =
                        self.interval(&interval, &mut deserializer).map_err(|error| problem(&error))?;
                    if tagged == Some(Metric::Corrected) {
                        first.get_or_insert(interval.start_timestamp());
                        last = last.max(interval.start_timestamp() + interval.duration());
                    }
                }
            }
        }
        let spanned = last.saturating_sub(first.unwrap_or_default());
        self.measured = self.measured.max(counted.unwrap_or(spanned));
        Ok(())
    }

    /// Adds one line. Returns its metric, or `None` if its tag is unknown.
    fn interval(
        &mut self,
        interval: &IntervalLogHistogram<'_>,
        deserializer: &mut Deserializer,
    ) -> Result<Option<Metric>, String> {
        let tag = interval.tag();
        let name = tag.as_ref().map(Tag::as_str);
        let Some((metric, _)) = TAGS.iter().find(|(_, tag)| *tag == name) else { return Ok(None) };
        let bytes = data_encoding::BASE64
            .decode(interval.encoded_histogram().as_bytes())
            .map_err(|error| error.to_string())?;
        let histogram: Histogram<u64> =
            deserializer.deserialize(&mut bytes.as_slice()).map_err(|error| error.to_string())?;
        self.total.merge_histogram(*metric, &histogram);
        Ok(Some(*metric))
    }

    /// Adds the counters of a comment. Returns the measured time in it.
    fn counters(&mut self, json: &[u8]) -> Option<Duration> {
        let value: serde_json::Value = serde_json::from_slice(json).ok()?;
        for count in Count::ALL {
            let number = value.get("counters")?.get(count.name()).and_then(serde_json::Value::as_u64);
            self.total.counters.add(*count, number.unwrap_or(0));
        }
        Some(Duration::from_nanos(value.get("measured_ns")?.as_u64()?))
    }
}
