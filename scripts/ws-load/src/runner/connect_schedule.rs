//! When connections are opened: all at once, over a ramp, or at a rate.

use crate::workload::{plan::Plan, send_schedule::Timeline};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Number of connections that are started before the sockets are polled again.
const BATCH: u32 = 32;

/// The queue of one thread's connections to open. Each connection is in it at most once.
#[derive(Debug)]
pub(crate) struct ConnectSchedule {
    queue: VecDeque<usize>,
    /// `None` until it is known: it can be the start of the load.
    start: Option<Instant>,
    /// Nothing is due from here on.
    end: Option<Instant>,
    /// Time between two openings of this thread. Zero opens as fast as possible.
    gap: Duration,
    /// From `start` to the first opening of this thread.
    offset: Duration,
    begun: u32,
    in_batch: u32,
    settled: bool,
}

impl ConnectSchedule {
    /// Creates the schedule of thread number `thread`, with connections 0 to `slots` in the queue.
    pub(crate) fn new(plan: &Plan, thread: u32, slots: usize, epoch: Instant) -> Self {
        Self {
            queue: (0..slots).collect(),
            start: (!plan.mode.opens_in_measured_time()).then_some(epoch),
            end: None,
            gap: plan.opening_gap.saturating_mul(plan.threads),
            offset: plan.opening_gap.saturating_mul(thread),
            begun: 0,
            in_batch: 0,
            settled: false,
        }
    }

    fn due(&self) -> Option<Instant> {
        let after = self.offset.saturating_add(self.gap.saturating_mul(self.begun));
        self.start?.checked_add(after).filter(|due| self.is_before_end(*due))
    }

    fn is_before_end(&self, moment: Instant) -> bool {
        self.end.is_none_or(|end| moment < end)
    }

    /// Sets the end, and the start if it is not known yet.
    pub(crate) fn set_timeline(&mut self, timeline: &Timeline) {
        self.start.get_or_insert(timeline.start);
        self.end = timeline.end;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the next connection that is due at `now`, and when it became due. `None` also ends a batch.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let due = self.due().filter(|due| *due <= now && self.in_batch < BATCH);
        // Without a gap a connection is due as soon as it is in the queue.
        let due =
            if self.gap.is_zero() { due.map(|_| now).filter(|due| self.is_before_end(*due)) } else { due };
        let slot = due.and_then(|_| self.queue.pop_front());
        let (Some(due), Some(slot)) = (due, slot) else {
            self.in_batch = 0;
            return None;
        };
        self.in_batch += 1;
        self.begun = self.begun.saturating_add(1);
        Some((slot, due))
    }

    /// Returns whether a rate has made a queued connection due. It is opened also if the end has passed
    /// meanwhile.
    pub(crate) fn has_due(&self, now: Instant) -> bool {
        !self.gap.is_zero() && self.next_due().is_some_and(|due| due <= now)
    }

    /// Appends a connection to the queue. It must not be in it.
    pub(crate) fn push(&mut self, slot: usize) {
        self.queue.push_back(slot);
    }

    /// Returns when the first connection of the queue is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        if self.queue.is_empty() { None } else { self.due() }
    }

    /// Empties the queue.
    pub(crate) fn stop(&mut self) {
        self.queue.clear();
    }

    /// Returns whether the coordinator was informed that each connection is open or has failed.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    pub(crate) fn set_settled(&mut self) {
        self.settled = true;
    }
}
