//! The interval log of `HdrHistogram`, version 2: written while the run goes on, and read again by `ws-load merge`.
//!
//! Values are nanoseconds, the maximum of each line is in milliseconds, as the usual tools expect. Lines without a tag
//! are the corrected latencies. The counters of the run stand in a comment at the end, which other readers skip.

use super::{
    conductor::Second,
    error::LoadError,
    numbers,
    stats::{Count, Metric, Recorder},
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

/// Nanoseconds in the unit of the maximum column.
const MAX_VALUE_DIVISOR: f64 = 1e6;
/// The longest line that is read; a full histogram of ours takes a tenth of it.
const MAX_LINE: u64 = 4 << 20;
/// What the comment with the counters starts with.
const COUNTERS: &str = "#ws-load ";

/// The tags of the lines.
const TAGS: [(Metric, Option<&str>); 7] = [
    (Metric::Corrected, None),
    (Metric::Raw, Some("raw")),
    (Metric::Connect, Some("connect")),
    (Metric::Tls, Some("tls")),
    (Metric::Handshake, Some("handshake")),
    (Metric::Opening, Some("opening")),
    (Metric::Cycle, Some("cycle")),
];

/// The file and the serializer that a log borrows.
pub(super) struct Sink {
    path: PathBuf,
    file: BufWriter<File>,
    serializer: V2DeflateSerializer,
}

impl Sink {
    pub(super) fn create(path: &Path) -> Result<Self, LoadError> {
        let file = File::create(path).map_err(|error| LoadError::file(path, error))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), serializer: V2DeflateSerializer::new() })
    }

    /// Starts the log; its times count from now.
    pub(super) fn begin(&mut self, url: &str) -> Result<Log<'_>, LoadError> {
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
        Ok(Log { path: &self.path, writer })
    }

    pub(super) fn finish(mut self) -> Result<(), LoadError> {
        self.file.flush().map_err(|error| LoadError::file(&self.path, error))
    }
}

/// A log that is being written.
pub(super) struct Log<'a> {
    path: &'a Path,
    writer: IntervalLogWriter<'a, 'a, BufWriter<File>, V2DeflateSerializer>,
}

impl Log<'_> {
    /// Writes a line for every histogram of a second that holds something, and always one for the latency.
    pub(super) fn second(&mut self, second: &Second) -> Result<(), LoadError> {
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

    /// Writes the counters at the end.
    pub(super) fn totals(mut self, total: &Recorder, measured: Duration) -> Result<(), LoadError> {
        let counters: BTreeMap<_, _> =
            Count::ALL.iter().map(|count| (count.name(), total.counters.get(*count))).collect();
        let line = serde_json::json!({ "measured_ns": numbers::nanos(measured), "counters": counters });
        let comment = format!("{}{line}", &COUNTERS[1..]);
        self.writer.write_comment(&comment).map_err(|error| LoadError::file(self.path, error))
    }
}

/// What was read from logs.
pub(super) struct Merged {
    pub(super) total: Recorder,
    /// The longest of the runs: they are taken to have run at the same time.
    pub(super) measured: Duration,
}

impl Merged {
    pub(super) fn new() -> Self {
        Self { total: Recorder::new(), measured: Duration::ZERO }
    }

    /// Adds the log at `path`, line by line: it may be longer than memory.
    pub(super) fn read(&mut self, path: &Path) -> Result<(), LoadError> {
        let file = File::open(path).map_err(|error| LoadError::file(path, error))?;
        let mut reader = BufReader::new(file);
        let mut deserializer = Deserializer::new();
        let (mut line, mut number) = (Vec::new(), 0_u64);
        let (mut first, mut last) = (None, Duration::ZERO);
        let mut noted = None;
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
                noted = Some(self.counters(json).ok_or_else(|| problem("not the counters of ws-load"))?);
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
        self.measured = self.measured.max(noted.unwrap_or(spanned));
        Ok(())
    }

    /// Adds one line; a tag that is not ours is passed over.
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

    fn counters(&mut self, json: &[u8]) -> Option<Duration> {
        let value: serde_json::Value = serde_json::from_slice(json).ok()?;
        for count in Count::ALL {
            let number = value.get("counters")?.get(count.name()).and_then(serde_json::Value::as_u64);
            self.total.counters.add(*count, number.unwrap_or(0));
        }
        Some(Duration::from_nanos(value.get("measured_ns")?.as_u64()?))
    }
}
