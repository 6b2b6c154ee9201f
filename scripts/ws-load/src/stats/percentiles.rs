//! A latency distribution in the JSON.

use crate::numbers;
use hdrhistogram::Histogram;
use serde::Serialize;

/// A distribution in microseconds. Each figure is `None` if nothing was recorded.
#[derive(Debug, Default, Serialize)]
pub struct Percentiles {
    /// Number of values.
    pub count: u64,
    /// The smallest value.
    pub min_us: Option<f64>,
    /// The mean value.
    pub mean_us: Option<f64>,
    /// The median.
    pub p50_us: Option<f64>,
    /// The 90th percentile.
    pub p90_us: Option<f64>,
    /// The 95th percentile.
    pub p95_us: Option<f64>,
    /// The 99th percentile.
    pub p99_us: Option<f64>,
    /// The 99.9th percentile.
    pub p999_us: Option<f64>,
    /// The 99.99th percentile.
    pub p9999_us: Option<f64>,
    /// The largest value.
    pub max_us: Option<f64>,
}

impl Percentiles {
    /// Evaluates a histogram of nanoseconds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |percent| Some(micros(histogram.value_at_percentile(percent)));
        Self {
            count: histogram.len(),
            min_us: Some(micros(histogram.min())),
            mean_us: Some(histogram.mean() / 1e3),
            p50_us: at(50.0),
            p90_us: at(90.0),
            p95_us: at(95.0),
            p99_us: at(99.0),
            p999_us: at(99.9),
            p9999_us: at(99.99),
            max_us: Some(micros(histogram.max())),
        }
    }

    /// Returns the figures of a table, with their names.
    pub(crate) fn columns(&self) -> [(&'static str, Option<f64>); 9] {
        [
            ("min", self.min_us),
            ("mean", self.mean_us),
            ("p50", self.p50_us),
            ("p90", self.p90_us),
            ("p95", self.p95_us),
            ("p99", self.p99_us),
            ("p99.9", self.p999_us),
            ("p99.99", self.p9999_us),
            ("max", self.max_us),
        ]
    }
}

/// Converts nanoseconds to microseconds.
pub(crate) fn micros(nanos: u64) -> f64 {
    numbers::u64_to_f64(nanos) / 1e3
}
