//! When a driver goes from one stage to the next, and what it does then.

use super::{driver::Driver, interval::DriverReport, stage::Stage};
use crate::{connection::load_connection::LoadConnection, stats::counters::Count, workload::mode::Mode};
use std::time::Instant;

impl Driver {
    fn enter(&mut self, stage: Stage, now: Instant) {
        (self.stage, self.stage_since) = (stage, now);
    }

    /// Goes to the next stage when it is time.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.stage < Stage::Draining && self.ctx.run.is_stopping() {
            self.begin_draining(now);
        }
        match self.stage {
            Stage::Opening => self.advance_opening(now),
            Stage::Running if self.is_run_over(now) => self.begin_draining(now),
            Stage::Running if self.ctx.run.has_no_connection_left() => {
                self.ctx.died = Some(now);
                self.begin_draining(now);
            }
            // Separates the interval of the warm-up from the measured ones.
            Stage::Running if self.is_warm_up_over(now) => self.hand_over(now),
            Stage::Draining => {
                let waited = now.saturating_duration_since(self.stage_since);
                let quiet = || self.connections.iter().all(|connection| connection.is_quiet(&self.ctx));
                if waited >= self.ctx.plan().drain || quiet() {
                    self.begin_closing(now);
                }
            }
            Stage::Running | Stage::Closing => {}
        }
    }

    fn advance_opening(&mut self, now: Instant) {
        let early = self.ctx.plan().starts_while_opening;
        if early && !self.ctx.sending {
            self.start_sending();
        }
        let churn = self.ctx.plan().mode == Mode::Churn;
        if !self.connect_schedule.is_settled()
            && (churn || self.connections.iter().all(LoadConnection::is_settled))
        {
            self.connect_schedule.set_settled();
            // The coordinator needs the reasons of failures to decide whether the run can start.
            self.hand_over(now);
            let _ = self.reports.send(DriverReport::Settled);
        }
        if let Some(timeline) = self.ctx.run.timeline.get() {
            if now < timeline.start {
                self.next_tick = self.next_tick.min(timeline.start);
                return;
            }
            self.ctx.timeline = Some(*timeline);
            self.slots = self.ctx.schedule().map_or(0, |schedule| {
                let until = timeline.end.map_or(u64::MAX, |end| schedule.slots_before(end));
                let warm_up = schedule.slots_before(timeline.measure);
                self.ctx.plan().messages.map_or(until, |more| until.min(warm_up.saturating_add(more)))
            });
            self.connect_schedule.set_timeline(timeline);
            self.hand_over(now);
            self.enter(Stage::Running, now);
            if !self.ctx.sending {
                self.start_sending();
            }
        }
    }

    fn start_sending(&mut self) {
        self.ctx.sending = true;
        for connection in &mut self.connections {
            connection.send_due(&mut self.ctx);
        }
    }

    /// Returns the next moment, apart from the ticks, at which the warm-up or the measured time ends.
    pub(super) fn next_transition(&self) -> Option<Instant> {
        let timeline = self.ctx.timeline.filter(|_| self.stage == Stage::Running)?;
        if self.interval_start < timeline.measure { Some(timeline.measure) } else { timeline.end }
    }

    fn is_warm_up_over(&self, now: Instant) -> bool {
        self.ctx
            .timeline
            .is_some_and(|timeline| self.interval_start < timeline.measure && now >= timeline.measure)
    }

    fn is_run_over(&self, now: Instant) -> bool {
        let Some(timeline) = self.ctx.timeline else { return false };
        // With a duration the run lasts until its end, also if nothing more is due before it.
        let is_rate_over = self.ctx.schedule().is_some()
            && self.ctx.plan().messages.is_some()
            && self.next_release().is_none()
            && !self.connections.iter().any(LoadConnection::has_backlog);
        let is_quota_spent = self.ctx.quota == 0 && self.ctx.plan().mode != Mode::Churn;
        let is_time_up = timeline.end.is_some_and(|end| now >= end) && !self.connect_schedule.has_due(now);
        let is_churn_over = || {
            self.ctx.plan().mode == Mode::Churn
                && self.connect_schedule.is_empty()
                && self.connections.iter().all(LoadConnection::is_idle)
        };
        is_time_up || is_rate_over || is_quota_spent || is_churn_over()
    }

    /// Ends the load. From here on nothing is sent, and replies are waited for.
    fn begin_draining(&mut self, now: Instant) {
        self.send_last(now);
        self.ctx.sending = false;
        self.connect_schedule.stop();
        self.hand_over(now);
        self.enter(Stage::Draining, now);
    }

    /// Sends what became due since the last poll and fits into the depth. The thread may have been woken a
    /// moment after the end, and the messages before it have been due.
    fn send_last(&mut self, now: Instant) {
        let Some(schedule) = self.ctx.schedule() else { return };
        let due = self.slots.min(schedule.slots_before(now));
        if self.ctx.run.is_stopping() {
            self.slots = due;
        }
        let all = u64::from(self.ctx.plan().connections);
        for connection in &mut self.connections {
            connection.released = slots_of(connection.id(), due, all);
            connection.send_due(&mut self.ctx);
        }
    }

    fn begin_closing(&mut self, now: Instant) {
        self.ctx.recorder.counters.add(Count::Unsent, self.unsent());
        for connection in &mut self.connections {
            connection.close(&mut self.ctx);
        }
        self.enter(Stage::Closing, now);
    }

    /// Returns the number of this thread's messages that were due and not sent.
    fn unsent(&self) -> u64 {
        let all = u64::from(self.ctx.plan().connections);
        let due = |connection: &LoadConnection| slots_of(connection.id(), self.slots, all);
        self.connections.iter().map(|connection| due(connection).saturating_sub(connection.sent())).sum()
    }
}

/// Returns how many of the first `slots` slots are those of `connection`, one of `all`.
fn slots_of(connection: u32, slots: u64, all: u64) -> u64 {
    slots / all + u64::from(u64::from(connection) < slots % all)
}
