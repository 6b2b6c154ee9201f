//! What is shown and written while a run goes on: the live line on a terminal, the interval log and the
//! metrics.

use super::{hdr_log::HdrLog, metrics_listener::MetricsListener};
use crate::{
    error::LoadError,
    numbers,
    runner::outcome::{RunObserver, SecondFigures},
    stats::{counters::Count, percentiles::micros, recorder::Metric},
    text,
    workload::{plan::Plan, send_schedule::Timeline},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// Shows the figures of each second, writes them to the interval log and adds them to the metrics. The live
/// line appears only on a terminal.
pub(crate) struct Progress {
    line: ProgressBar,
    /// The log, or the error that ended it.
    log: Result<Option<HdrLog>, LoadError>,
    metrics: Option<MetricsListener>,
    /// No replies are expected: the live line shows what is sent.
    is_sending_only: bool,
    duration: Option<Duration>,
    warmup: Duration,
    /// When the measured time starts, since the epoch.
    measure: Option<Duration>,
}

impl Progress {
    pub(crate) fn new(plan: &Plan, log: Option<HdrLog>, metrics: Option<MetricsListener>) -> Self {
        let target =
            if plan.output.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let line = ProgressBar::with_draw_target(None, target);
        line.set_style(
            ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        line.set_message(format!("opening {} connections", text::grouped(u64::from(plan.connections))));
        line.tick();
        Self {
            line,
            log: Ok(log),
            metrics,
            is_sending_only: plan.expect.is_none(),
            duration: plan.duration,
            warmup: plan.warmup,
            measure: None,
        }
    }

    /// Clears the line. Returns the log, or the error that ended it.
    pub(crate) fn finish(self) -> Result<Option<HdrLog>, LoadError> {
        self.line.finish_and_clear();
        self.log
    }

    fn show(&self, second: &SecondFigures) {
        let span = second.end.saturating_sub(second.start).as_secs_f64();
        let [replies, sent] = [Count::Replies, Count::Sent].map(|count| second.recorder.counters.get(count));
        let replies = if self.is_sending_only { sent } else { replies };
        let rate = if span > 0.0 { numbers::u64_to_f64(replies) / span } else { 0.0 };
        let [latency, gap] = [Metric::Corrected, Metric::Gap].map(|metric| second.recorder.histogram(metric));
        let latency = if gap.is_empty() { latency } else { gap };
        let percentile =
            |percent| (!latency.is_empty()).then(|| micros(latency.value_at_percentile(percent)));
        let figures = LiveFigures {
            rate: numbers::f64_to_u64(rate),
            open: second.open,
            p50: percentile(50.0),
            p99: percentile(99.0),
            errors: second.errors,
            time: self.time_left(second.end),
        };
        self.line.set_message(figures.to_string());
        self.line.tick();
    }

    fn time_left(&self, now: Duration) -> String {
        let Some(measure) = self.measure else { return "opening".into() };
        if now < measure {
            return format!("warm-up, {} s left", measure.saturating_sub(now).as_secs());
        }
        match self.duration {
            Some(duration) => format!("{} s left", (measure + duration).saturating_sub(now).as_secs()),
            None => format!("{} s", now.saturating_sub(measure).as_secs()),
        }
    }
}

/// The figures of the live line.
struct LiveFigures {
    rate: u64,
    open: u32,
    p50: Option<f64>,
    p99: Option<f64>,
    errors: u64,
    time: String,
}

impl fmt::Display for LiveFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, open, p50, p99, errors, time } = self;
        let [rate, open, errors] = [*rate, u64::from(*open), *errors].map(text::grouped);
        let [p50, p99] = [p50, p99].map(|micros| text::micros(*micros));
        write!(f, "{rate}/s  {open} open  p50 {p50}  p99 {p99}  {errors} errors  {time}")
    }
}

impl RunObserver for Progress {
    fn on_start(&mut self, timeline: &Timeline, epoch: Instant) {
        self.measure = Some(timeline.measure.saturating_duration_since(epoch));
        if let Ok(Some(log)) = &mut self.log {
            log.set_measured_from(timeline.measure);
        }
        if !self.warmup.is_zero() {
            self.line.set_message("warming up");
            self.line.tick();
        }
    }

    fn on_second(&mut self, second: &SecondFigures) {
        self.show(second);
        if let Some(metrics) = &self.metrics {
            metrics.add(second);
        }
        if let Ok(Some(log)) = &mut self.log
            && let Err(error) = log.write_second(second)
        {
            self.log = Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_line_fits_80_columns() {
        let line = LiveFigures {
            rate: 9_999_999,
            open: 19_500,
            p50: Some(45_600.0),
            p99: Some(45_600_000.0),
            errors: 999_999,
            time: "86399 s left".into(),
        };
        let line = line.to_string();
        assert!(line.chars().count() < 80, "{} columns: {line}", line.chars().count());
    }
}
