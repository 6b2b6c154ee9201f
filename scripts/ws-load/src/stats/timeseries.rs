//! Rate and latency over time, in bounded memory for any length of run.

use crate::numbers;
use std::time::Duration;

/// Largest number of points that are kept. A chart has no more pixels.
const MAX_POINTS: usize = 600;
/// A shorter point than this, such as the last of a run, is joined to the one before it: its rate would be
/// noise.
const SHORTEST: Duration = Duration::from_millis(300);

/// The figures of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TimeSeriesPoint {
    pub(crate) start: Duration,
    pub(crate) span: Duration,
    pub(crate) replies: u64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
    pub(crate) errors: u64,
}

impl TimeSeriesPoint {
    /// Returns the replies per second.
    pub(crate) fn rate(&self) -> f64 {
        let seconds = self.span.as_secs_f64();
        if seconds > 0.0 { numbers::u64_to_f64(self.replies) / seconds } else { 0.0 }
    }

    /// Joins two points. Percentiles cannot be added, so the larger one is kept, and the chart hides no peak.
    fn join(self, next: Self) -> Self {
        Self {
            start: self.start,
            span: self.span + next.span,
            replies: self.replies + next.replies,
            p50: self.p50.max(next.p50),
            p99: self.p99.max(next.p99),
            max: self.max.max(next.max),
            errors: self.errors + next.errors,
        }
    }
}

/// The points of a run, in bounded memory. When there are too many, neighbours are joined in pairs, and each
/// later point covers twice as many seconds.
#[derive(Debug, Default)]
pub(crate) struct TimeSeries {
    points: Vec<TimeSeriesPoint>,
    /// A point covers two to the power of this many seconds.
    halvings: u32,
    /// Number of seconds in the last point.
    filled: u32,
}

impl TimeSeries {
    /// Appends the next second.
    pub(crate) fn push(&mut self, point: TimeSeriesPoint) {
        let per_point = 1_u32 << self.halvings.min(31);
        let joins = self.filled < per_point || point.span < SHORTEST;
        if let Some(last) = self.points.last_mut().filter(|_| joins) {
            *last = last.join(point);
            self.filled += 1;
        } else {
            self.points.push(point);
            self.filled = 1;
        }
        if self.points.len() > MAX_POINTS {
            let joined = self.points.chunks(2).map(|pair| match *pair {
                [one, two] => one.join(two),
                _ => pair[0],
            });
            self.points = joined.collect();
            self.halvings += 1;
        }
    }

    /// Makes all times count from `start`.
    pub(crate) fn starting_at(mut self, start: Duration) -> Self {
        for point in &mut self.points {
            point.start = point.start.saturating_sub(start);
        }
        self
    }

    pub(crate) fn points(&self) -> &[TimeSeriesPoint] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeseries_of_a_day_is_bounded_and_keeps_every_peak() {
        let mut series = TimeSeries::default();
        for second in 0..86_400_u64 {
            let max = Duration::from_millis(if second == 54_321 { 999 } else { 1 });
            series.push(TimeSeriesPoint {
                start: Duration::from_secs(second),
                span: Duration::from_secs(1),
                replies: 10,
                p50: max,
                p99: max,
                max,
                errors: 0,
            });
        }
        let points = series.points();
        assert!(points.len() <= MAX_POINTS);
        assert_eq!(points.iter().map(|point| point.replies).sum::<u64>(), 864_000);
        assert!(points.iter().any(|point| point.max == Duration::from_millis(999)));
        assert!(points.iter().all(|point| (point.rate() - 10.0).abs() < 1e-9));
    }
}
