//! When a driver goes from one stage to the next, and what it does then.

use super::{
    driver::{Driver, RELEASES},
    interval::DriverReport,
    stage::Stage,
};
use crate::{connection::load_connection::LoadConnection, workload::mode::Mode};
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
        let stage = self.stage;
        match stage {
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
                if waited >= self.ctx.plan().drain || (!self.ctx.taking_last && quiet()) {
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
        let opens_later = self.ctx.plan().mode.opens_in_measured_time();
        if !self.connect_schedule.is_settled()
            && (opens_later || self.connections.iter().all(LoadConnection::is_settled))
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
            self.ctx.schedule = self.ctx.run.schedule(timeline);
            let slots = self.ctx.run.slots(timeline);
            self.lane_end =
                self.ctx.schedule.as_ref().map_or(0, |schedule| schedule.lane_len(self.dealer.lane(), slots));
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

    fn is_run_over(&mut self, now: Instant) -> bool {
        let Some(timeline) = self.ctx.timeline else { return false };
        // With a duration the run lasts until its end, also if nothing more is due before it.
        let is_rate_over = self.ctx.schedule.is_some()
            && self.ctx.plan().messages.is_some()
            && self.next_due().is_none()
            && self.ctx.run.unassigned.is_empty()
            && self.connections.iter().all(|connection| connection.queue.len() == 0);
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
        self.ctx.run.end_lane();
        self.ctx.taking_last = self.ctx.sending && self.ctx.schedule.is_some() && self.ctx.run.room.is_none();
        (self.ctx.sending, self.ctx.loading) = (false, false);
        self.connect_schedule.stop();
        self.reconnects.stop();
        self.hand_over(now);
        self.enter(Stage::Draining, now);
    }

    /// Sends what became due since the last poll and fits into the depth. The thread may have been woken a
    /// moment after the end, and the messages before it have been due.
    fn send_last(&mut self, now: Instant) {
        let Some(schedule) = &self.ctx.schedule else { return };
        let due = schedule.lane_len(self.dealer.lane(), schedule.slots_before(now));
        self.lane_end = self.lane_end.min(due);
        // More than fit into the depth would stay in the queues.
        let room = self.dealer.open_count().saturating_mul(self.ctx.plan().depth);
        // Without an open connection, one turn leaves all messages to the other threads.
        for _ in 0..room.div_ceil(RELEASES).max(1) {
            if self.next_due().is_none() {
                return;
            }
            self.release_due();
        }
    }

    /// Sends messages that threads without an open connection have left at the end of the load, until all
    /// threads have seen it.
    pub(super) fn take_last(&mut self) {
        if !self.ctx.taking_last {
            return;
        }
        // Read first: a thread leaves its messages before it ends its lane.
        let is_last = self.ctx.run.have_lanes_ended();
        for _ in 0..self.dealer.open_count() {
            if self.ctx.run.unassigned.is_empty() {
                break;
            }
            if let Some(slot) = self.dealer.next_turn() {
                self.send_on(slot, None);
            }
        }
        self.ctx.taking_last = !is_last;
    }

    fn begin_closing(&mut self, now: Instant) {
        self.ctx.taking_last = false;
        for connection in &mut self.connections {
            connection.close(&mut self.ctx);
        }
        self.enter(Stage::Closing, now);
    }
}
