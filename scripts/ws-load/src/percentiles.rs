//! A distribution as the JSON has it.

use super::numbers;
use hdrhistogram::Histogram;
use serde::Serialize;

/// A distribution in microseconds.
#[derive(Debug, Default, Serialize)]
pub struct Percentiles {
    /// How many values.
    pub count: u64,
    /// The smallest.
    pub min_us: f64,
    /// The mean.
    pub mean_us: f64,
    /// Half are at most this.
    pub p50_us: f64,
    /// 90 %.
    pub p90_us: f64,
    /// 99 %.
    pub p99_us: f64,
    /// 99.9 %.
    pub p999_us: f64,
    /// 99.99 %.
    pub p9999_us: f64,
    /// The largest.
    pub max_us: f64,
}

impl Percentiles {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
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

/// Nanoseconds in microseconds.
pub(super) fn micros(nanos: u64) -> f64 {
    numbers::float(nanos) / 1e3
}
