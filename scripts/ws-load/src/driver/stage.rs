//! The stages of a thread's run, and when one gives way to the next.

use super::Driver;
use crate::{connection::Connection, interval::Report, plan::Mode, stats::Count};
use std::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Stage {
    /// Not all connections are settled.
    Opening,
    /// The load runs.
    Running,
    /// Nothing new; what is on its way may arrive.
    Draining,
    /// Connections are being closed.
    Closing,
}

impl Driver {
    fn enter(&mut self, stage: Stage, now: Instant) {
        (self.stage, self.stage_since) = (stage, now);
    }

    /// Goes to the next stage when it is time.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.stage < Stage::Draining && self.cx.shared.is_stopping() {
            self.begin_draining(now);
        }
        match self.stage {
            Stage::Opening => self.advance_opening(now),
            Stage::Running if self.is_run_over(now) => self.begin_draining(now),
            // The warm-up has a stretch of its own.
            Stage::Running if self.is_warm_up_over(now) => self.hand_over(now),
            Stage::Draining => {
                let waited = now.saturating_duration_since(self.stage_since);
                let quiet = || {
                    self.next_release().is_none()
                        && self.connections.iter().all(|connection| connection.is_quiet(&self.cx))
                };
                if waited >= self.cx.plan().drain || quiet() {
                    self.begin_closing(now);
                }
            }
            Stage::Running | Stage::Closing => {}
        }
    }

    fn advance_opening(&mut self, now: Instant) {
        let early = self.cx.plan().starts_while_opening;
        if early && !self.cx.sending {
            self.start_sending();
        }
        let churn = self.cx.plan().mode == Mode::Churn;
        if !self.opener.is_settled() && (churn || self.connections.iter().all(Connection::is_settled)) {
            self.opener.settle();
            // The reasons for failures have to be there before the conductor judges.
            self.hand_over(now);
            let _ = self.reports.send(Report::Settled);
        }
        if let Some(timeline) = self.cx.shared.timeline.get() {
            if now < timeline.start {
                self.next_tick = self.next_tick.min(timeline.start);
                return;
            }
            self.cx.timeline = Some(*timeline);
            self.places = self.cx.schedule().map_or(0, |schedule| {
                let until = timeline.end.map_or(u64::MAX, |end| schedule.places_before(end));
                let warm = schedule.places_before(timeline.measure);
                self.cx.plan().messages.map_or(until, |more| until.min(warm.saturating_add(more)))
            });
            self.opener.begin(timeline);
            self.hand_over(now);
            self.enter(Stage::Running, now);
            if !self.cx.sending {
                self.start_sending();
            }
        }
    }

    fn start_sending(&mut self) {
        self.cx.sending = true;
        for connection in &mut self.connections {
            connection.pump(&mut self.cx);
        }
    }

    /// The next moment at which the run changes, besides the ticks.
    pub(super) fn turning_point(&self) -> Option<Instant> {
        let timeline = self.cx.timeline.filter(|_| self.stage == Stage::Running)?;
        if self.interval_start < timeline.measure { Some(timeline.measure) } else { timeline.end }
    }

    fn is_warm_up_over(&self, now: Instant) -> bool {
        self.cx
            .timeline
            .is_some_and(|timeline| self.interval_start < timeline.measure && now >= timeline.measure)
    }

    fn is_run_over(&self, now: Instant) -> bool {
        let Some(timeline) = self.cx.timeline else { return false };
        let rate_is_over = self.cx.schedule().is_some() && self.next_release().is_none();
        let spent = self.cx.quota == 0 && self.cx.plan().mode != Mode::Churn;
        // With `--churn`, those that wait to be opened are not over.
        let all_done = || self.opener.is_empty() && self.connections.iter().all(Connection::is_idle);
        let is_time_up = timeline.end.is_some_and(|end| now >= end) && !self.opener.has_due(now);
        is_time_up || rate_is_over || spent || all_done()
    }

    /// Nothing new is sent; what was due before and has not left is still owed.
    fn begin_draining(&mut self, now: Instant) {
        self.cx.sending = false;
        self.opener.stop();
        if self.cx.shared.is_stopping() {
            let due = self.cx.schedule().map_or(0, |schedule| schedule.places_before(now));
            self.places = self.places.min(due);
        }
        self.hand_over(now);
        self.enter(Stage::Draining, now);
    }

    fn begin_closing(&mut self, now: Instant) {
        self.cx.recorder.counters.add(Count::Unsent, self.unsent());
        for connection in &mut self.connections {
            connection.close(&mut self.cx);
        }
        self.enter(Stage::Closing, now);
    }

    /// Messages that were due in this thread and never left.
    fn unsent(&self) -> u64 {
        let all = u64::from(self.cx.plan().connections);
        let due = |connection: &Connection| {
            self.places / all + u64::from(u64::from(connection.id()) < self.places % all)
        };
        self.connections.iter().map(|connection| due(connection).saturating_sub(connection.sent())).sum()
    }
}
