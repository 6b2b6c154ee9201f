//! A latency distribution in the JSON.

use crate::numbers;
use hdrhistogram::Histogram;
use serde::Serialize;

/// A distribution in microseconds. All zero if nothing was recorded.
#[derive(Debug, Default, Serialize)]
pub struct Percentiles {
    /// Number of values.
    pub count: u64,
    /// The smallest value.
    pub min_us: f64,
    /// The mean value.
    pub mean_us: f64,
    /// The median.
    pub p50_us: f64,
    /// The 90th percentile.
    pub p90_us: f64,
    /// The 99th percentile.
    pub p99_us: f64,
    /// The 99.9th percentile.
    pub p999_us: f64,
    /// The 99.99th percentile.
    pub p9999_us: f64,
    /// The largest value.
    pub max_us: f64,
}

impl Percentiles {
    /// Evaluates a histogram of nanoseconds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |percent| micros(histogram.value_at_percentile(percent));
        Self {
            count: histogram.len(),
            min_us: micros(histogram.min()),
            mean_us: histogram.mean() / 1e3,
            p50_us: at(50.0),
            p90_us: at(90.0),
            p99_us: at(99.0),
            p999_us: at(99.9),
            p9999_us: at(99.99),
            max_us: micros(histogram.max()),
        }
    }
}

/// Converts nanoseconds to microseconds.
pub(crate) fn micros(nanos: u64) -> f64 {
    numbers::u64_to_f64(nanos) / 1e3
}
