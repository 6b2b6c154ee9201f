//! The time between the messages that a connection receives.

use super::context::DriverContext;
use crate::stats::recorder::Metric;
use std::time::{Duration, Instant};

/// The gaps of one connection.
#[derive(Debug)]
pub(super) struct Gaps {
    /// When the last message arrived, or the connection was opened.
    since: Instant,
    has_message: bool,
    longest: Duration,
}

impl Gaps {
    pub(super) fn new(opened: Instant) -> Self {
        Self { since: opened, has_message: false, longest: Duration::ZERO }
    }

    /// Records the gap before a message that arrived at `now`. The first message has none.
    pub(super) fn note(&mut self, ctx: &mut DriverContext, now: Instant) {
        let gap = now.saturating_duration_since(self.since);
        if self.has_message && ctx.is_measured(now) {
            ctx.recorder.record(Metric::Gap, gap);
            self.longest = self.longest.max(gap);
        }
        (self.since, self.has_message) = (now, true);
    }

    /// Records the gap that lasts at the end of the load, if it is the longest one: a server that has stopped
    /// sending would not show otherwise.
    pub(super) fn end(&self, ctx: &mut DriverContext, now: Instant) {
        let Some(timeline) = ctx.timeline else { return };
        let end = timeline.end.map_or(now, |end| end.min(now));
        let gap = end.saturating_duration_since(self.since.max(timeline.measure));
        if gap > self.longest {
            ctx.recorder.record(Metric::Gap, gap);
        }
    }
}
