//! What is shown and written while a run goes on: the live line on a terminal, and the interval log.

use super::hdr_log::HdrLog;
use crate::{
    error::LoadError,
    numbers,
    runner::outcome::{RunObserver, SecondFigures},
    stats::{counters::Count, recorder::Metric},
    text,
    workload::{plan::Plan, send_schedule::Timeline},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Shows the figures of each second, and writes them to the interval log. The live line appears only on a
/// terminal.
pub(crate) struct Progress<'a> {
    line: ProgressBar,
    /// The log, or the error that ended it.
    log: Result<Option<HdrLog<'a>>, LoadError>,
    duration: Option<Duration>,
    warmup: Duration,
    /// When the measured time starts, since the epoch.
    measure: Option<Duration>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(plan: &Plan, log: Option<HdrLog<'a>>) -> Self {
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        line.set_style(
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        line.set_message(format!("opening {} connections", text::grouped(u64::from(plan.connections))));
        line.tick();
        Self { line, log: Ok(log), duration: plan.duration, warmup: plan.warmup, measure: None }
    }

    /// Clears the line. Returns the log, or the error that ended it.
    pub(crate) fn finish(self) -> Result<Option<HdrLog<'a>>, LoadError> {
        self.line.finish_and_clear();
        self.log
    }

    fn show(&self, second: &SecondFigures) {
        let span = second.end.saturating_sub(second.start).as_secs_f64();
        let replies = second.recorder.counters.get(Count::Replies);
        let rate = if span > 0.0 { numbers::u64_to_f64(replies) / span } else { 0.0 };
        let latency = second.recorder.histogram(Metric::Corrected);
        let percentile = |percent| {
            if latency.is_empty() { "–".into() } else { text::time(latency.value_at_percentile(percent)) }
        };
        self.line.set_message(format!(
            "{}/s · {} open · {} in flight · p50 {} · p99 {} · {} errors · {}",
            text::grouped(numbers::f64_to_u64(rate)),
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

impl RunObserver for Progress<'_> {
    fn on_start(&mut self, timeline: &Timeline, epoch: Instant) {
        self.measure = Some(timeline.measure.saturating_duration_since(epoch));
        if !self.warmup.is_zero() {
            self.line.set_message("warming up");
            self.line.tick();
        }
    }

    fn on_second(&mut self, second: &SecondFigures) {
        self.show(second);
        if let Ok(Some(log)) = &mut self.log
            && let Err(error) = log.write_second(second)
        {
            self.log = Err(error);
        }
    }
}
