//! Rate and latency over time, in the form of the JSON.

use crate::{
    numbers,
    stats::{
        percentiles::micros,
        timeseries::{TimeSeries, TimeSeriesPoint},
    },
};
use serde::Serialize;
use std::time::Duration;

/// The figures of a stretch of time.
#[derive(Debug, Serialize)]
pub struct SeriesPoint {
    /// Its start, since the start of the measured time.
    pub start_seconds: f64,
    /// Its length.
    pub seconds: f64,
    /// Valid replies per second.
    pub rate: f64,
    /// Median of the corrected latency. Over several seconds, the largest. `None` without replies.
    pub p50_us: Option<f64>,
    /// 99th percentile, likewise.
    pub p99_us: Option<f64>,
    /// Maximum, likewise.
    pub max_us: Option<f64>,
    /// Number of errors.
    pub errors: u64,
}

/// Returns the points of a series.
pub(super) fn points(series: &TimeSeries) -> Vec<SeriesPoint> {
    let latency = |point: &TimeSeriesPoint, latency: Duration| {
        (!point.max.is_zero()).then(|| micros(numbers::nanos(latency)))
    };
    let of = |point: &TimeSeriesPoint| SeriesPoint {
        start_seconds: point.start.as_secs_f64(),
        seconds: point.span.as_secs_f64(),
        rate: point.rate(),
        p50_us: latency(point, point.p50),
        p99_us: latency(point, point.p99),
        max_us: latency(point, point.max),
        errors: point.errors,
    };
    series.points().iter().map(of).collect()
}
