//! Rate and latency over time, in bounded memory for any length of run.

use super::numbers;
use std::time::Duration;

/// The most points that are kept: a chart is not wider.
const MAX_POINTS: usize = 600;
/// A shorter stretch than this, such as the last of a run, goes with the one before: its rate would be noise.
const SHORTEST: Duration = Duration::from_millis(300);

/// One stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) start: Duration,
    pub(super) span: Duration,
    pub(super) replies: u64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) max: Duration,
    pub(super) errors: u64,
}

impl Point {
    pub(super) fn rate(&self) -> f64 {
        let seconds = self.span.as_secs_f64();
        if seconds > 0.0 { numbers::float(self.replies) / seconds } else { 0.0 }
    }

    /// Two stretches as one. Percentiles cannot be joined, so the worse one stands for both: a chart may not hide a peak.
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

/// The points of a run. When there are too many, neighbours are joined, and later points take in more seconds each.
#[derive(Debug, Default)]
pub(super) struct Series {
    points: Vec<Point>,
    /// How many seconds a point takes in is two to the power of this.
    halvings: u32,
    /// How many seconds the last point has taken in.
    filled: u32,
}

impl Series {
    pub(super) fn push(&mut self, point: Point) {
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

    /// The same with times that count from `start`.
    pub(super) fn starting_at(mut self, start: Duration) -> Self {
        for point in &mut self.points {
            point.start = point.start.saturating_sub(start);
        }
        self
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_fits_and_no_peak_is_lost() {
        let mut series = Series::default();
        for second in 0..86_400_u64 {
            let max = Duration::from_millis(if second == 54_321 { 999 } else { 1 });
            series.push(Point {
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
