//! The figures of a run in the text format of Prometheus, version 0.0.4.

use super::log_format::TAGS;
use crate::{
    numbers,
    runner::outcome::SecondFigures,
    stats::{
        counters::Count,
        recorder::{Metric, Recorder},
    },
};
use hdrhistogram::Histogram;
use std::fmt::Write;

/// Upper bounds of the buckets, in nanoseconds, with their labels in seconds.
const BUCKETS: [(u64, &str); 16] = [
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
];

/// The figures since the start of the run, and those of the last second.
#[derive(Debug)]
pub(crate) struct LiveFigures {
    url: String,
    rate_asked: Option<u64>,
    total: Recorder,
    rate: f64,
    open: u32,
    in_flight: u64,
}

impl LiveFigures {
    pub(crate) fn new(url: String, rate_asked: Option<u64>) -> Self {
        Self { url, rate_asked, total: Recorder::new(), rate: 0.0, open: 0, in_flight: 0 }
    }

    /// Adds a second.
    pub(crate) fn add(&mut self, second: &SecondFigures) {
        let seconds = second.end.saturating_sub(second.start).as_secs_f64();
        let counters = &second.recorder.counters;
        let replies = numbers::u64_to_f64(counters.get(Count::Replies));
        self.rate = numbers::quotient(replies, seconds).unwrap_or_default();
        (self.open, self.in_flight) = (second.open, second.in_flight);
        self.total.merge(&second.recorder);
    }

    /// Returns the whole page.
    pub(crate) fn page(&self) -> String {
        let mut page = String::new();
        let version = env!("CARGO_PKG_VERSION");
        let url = self.url.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        head(&mut page, "ws_load_info", "gauge", "The program and the endpoint.");
        let _ = writeln!(page, "ws_load_info{{version=\"{version}\",url=\"{url}\"}} 1");
        let gauges = [
            ("ws_load_open_connections", "Connections that are open.", Some(f64::from(self.open))),
            (
                "ws_load_in_flight_messages",
                "Messages that wait for their replies.",
                Some(numbers::u64_to_f64(self.in_flight)),
            ),
            ("ws_load_replies_per_second", "Valid replies in the last second.", Some(self.rate)),
            (
                "ws_load_requested_messages_per_second",
                "The requested rate.",
                self.rate_asked.map(numbers::u64_to_f64),
            ),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                head(&mut page, name, "gauge", help);
                let _ = writeln!(page, "{name} {value}");
            }
        }
        for count in Count::ALL {
            let name = format!("ws_load_{}_total", count.name());
            head(&mut page, &name, "counter", &format!("The count \"{}\" of the results.", count.name()));
            let _ = writeln!(page, "{name} {}", self.total.counters.get(*count));
        }
        head(
            &mut page,
            "ws_load_errors_total",
            "counter",
            "Wrong, unsolicited and missing replies, failed and lost connections.",
        );
        let _ = writeln!(page, "ws_load_errors_total {}", self.total.counters.errors());
        let name = "ws_load_duration_seconds";
        head(&mut page, name, "histogram", "Latencies and other times of the results, by kind.");
        for (metric, tag) in TAGS {
            let histogram = self.total.histogram(metric);
            if !histogram.is_empty() || metric == Metric::Corrected {
                write_histogram(&mut page, name, tag.unwrap_or("corrected"), histogram);
            }
        }
        page
    }
}

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    // Writing into a string cannot fail.
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn write_histogram(page: &mut String, name: &str, kind: &str, histogram: &Histogram<u64>) {
    let mut counts = [0; BUCKETS.len()];
    let mut sum = 0.0;
    for value in histogram.iter_recorded() {
        let (nanos, count) = (value.value_iterated_to(), value.count_at_value());
        sum += numbers::u64_to_f64(nanos) / 1e9 * numbers::u64_to_f64(count);
        for (bucket, (bound, _)) in counts.iter_mut().zip(BUCKETS) {
            *bucket += if nanos <= bound { count } else { 0 };
        }
    }
    for (count, (_, bound)) in counts.iter().zip(BUCKETS) {
        let _ = writeln!(page, "{name}_bucket{{kind=\"{kind}\",le=\"{bound}\"}} {count}");
    }
    let count = histogram.len();
    let _ = writeln!(
        page,
        "{name}_bucket{{kind=\"{kind}\",le=\"+Inf\"}} {count}\n\
         {name}_sum{{kind=\"{kind}\"}} {sum}\n{name}_count{{kind=\"{kind}\"}} {count}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn exposition_has_cumulative_buckets() {
        let mut figures = LiveFigures::new("ws://host/\"x\"".into(), Some(5));
        for millis in [1, 20, 20_000] {
            figures.total.record(Metric::Corrected, Duration::from_millis(millis));
        }
        let page = figures.page();
        for line in [
            "ws_load_info{version=\"0.1.0\",url=\"ws://host/\\\"x\\\"\"} 1",
            "ws_load_requested_messages_per_second 5",
            "ws_load_duration_seconds_bucket{kind=\"corrected\",le=\"0.0005\"} 0",
            "ws_load_duration_seconds_bucket{kind=\"corrected\",le=\"0.01\"} 1",
            "ws_load_duration_seconds_bucket{kind=\"corrected\",le=\"10\"} 2",
            "ws_load_duration_seconds_bucket{kind=\"corrected\",le=\"+Inf\"} 3",
            "ws_load_duration_seconds_count{kind=\"corrected\"} 3",
            "ws_load_sent_total 0",
        ] {
            assert!(page.lines().any(|other| other == line), "no {line} in {page}");
        }
    }
}
