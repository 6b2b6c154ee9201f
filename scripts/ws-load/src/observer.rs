//! What is shown and written while a run goes on: a live line on a terminal, and the interval log.

use super::{
    conductor::{Second, Watch},
    error::LoadError,
    hdrlog::Log,
    numbers,
    plan::Plan,
    schedule::Timeline,
    stats::{Count, Metric},
    text,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Watches a run. On anything but a terminal the live line is silent.
pub(super) struct Observer<'a> {
    line: ProgressBar,
    /// The log, until it cannot be written.
    log: Result<Option<Log<'a>>, LoadError>,
    duration: Option<Duration>,
    warmup: Duration,
    /// Ends of warm-up and of the run, from the epoch.
    measure: Option<Duration>,
}

impl<'a> Observer<'a> {
    pub(super) fn new(plan: &Plan, log: Option<Log<'a>>) -> Self {
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        line.set_style(
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        line.set_message(format!("opening {} connections", text::grouped(u64::from(plan.connections))));
        line.tick();
        Self { line, log: Ok(log), duration: plan.duration, warmup: plan.warmup, measure: None }
    }

    /// Clears the line and gives the log back, or says why it ends early.
    pub(super) fn finish(self) -> Result<Option<Log<'a>>, LoadError> {
        self.line.finish_and_clear();
        self.log
    }

    fn show(&self, second: &Second) {
        let span = second.end.saturating_sub(second.start).as_secs_f64();
        let replies = second.recorder.counters.get(Count::Replies);
        let rate = if span > 0.0 { numbers::float(replies) / span } else { 0.0 };
        let latency = second.recorder.histogram(Metric::Corrected);
        let percentile = |percent| {
            if latency.is_empty() { "–".into() } else { text::time(latency.value_at_percentile(percent)) }
        };
        self.line.set_message(format!(
            "{}/s · {} open · {} in flight · p50 {} · p99 {} · {} errors · {}",
            text::grouped(numbers::count(rate)),
            text::grouped(u64::from(second.open)),
            text::grouped(second.in_flight),
            percentile(50.0),
            percentile(99.0),
            text::grouped(second.errors),
            self.time_left(second.end),
        ));
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

impl Watch for Observer<'_> {
    fn started(&mut self, timeline: &Timeline, epoch: Instant) {
        self.measure = Some(timeline.measure.saturating_duration_since(epoch));
        if !self.warmup.is_zero() {
            self.line.set_message("warming up");
            self.line.tick();
        }
    }

    fn second(&mut self, second: &Second) {
        self.show(second);
        if let Ok(Some(log)) = &mut self.log
            && let Err(error) = log.second(second)
        {
            self.log = Err(error);
        }
    }
}
