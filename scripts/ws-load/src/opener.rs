//! When connections are opened: all at once, over a ramp, or at a rate.

use super::{
    plan::{Mode, Plan},
    schedule::Timeline,
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Connections begun at once before the sockets are looked at again.
const BATCH: u32 = 32;

/// The queue of one thread's connections that wait to be opened.
#[derive(Debug)]
pub(super) struct Opener {
    waiting: VecDeque<usize>,
    /// `None` until the run says when: a storm waits for the measured time.
    start: Option<Instant>,
    /// Nothing is due from here on.
    end: Option<Instant>,
    /// Between two of this thread's.
    gap: Duration,
    /// This thread's first one after `start`.
    offset: Duration,
    begun: u32,
    in_batch: u32,
    settled: bool,
}

impl Opener {
    pub(super) fn new(plan: &Plan, thread: u32, slots: usize, epoch: Instant) -> Self {
        Self {
            waiting: (0..slots).collect(),
            start: (plan.mode != Mode::Churn).then_some(epoch),
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

    /// Sets the end, and the start if it was left open.
    pub(super) fn begin(&mut self, timeline: &Timeline) {
        self.start.get_or_insert(timeline.start);
        self.end = timeline.end;
    }

    /// Whether nothing waits to be opened.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next connection to be opened by `now`, and when it was due; `None` also ends a batch.
    pub(super) fn next(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let due = self.due().filter(|due| *due <= now && self.in_batch < BATCH);
        // Without a gap a connection is due when it is in the queue, which is now.
        let due =
            if self.gap.is_zero() { due.map(|_| now).filter(|due| self.is_before_end(*due)) } else { due };
        let slot = due.and_then(|_| self.waiting.pop_front());
        let (Some(due), Some(slot)) = (due, slot) else {
            self.in_batch = 0;
            return None;
        };
        self.in_batch += 1;
        self.begun = self.begun.saturating_add(1);
        Some((slot, due))
    }

    /// Returns whether a connection waits that a rate has made due before the end. A thread that was delayed still opens it.
    pub(super) fn has_due(&self, now: Instant) -> bool {
        !self.gap.is_zero() && self.wake().is_some_and(|due| due <= now)
    }

    /// Puts a connection back in line.
    pub(super) fn again(&mut self, slot: usize) {
        self.waiting.push_back(slot);
    }

    /// When something will have to be opened.
    pub(super) fn wake(&self) -> Option<Instant> {
        if self.waiting.is_empty() { None } else { self.due() }
    }

    /// Opens nothing more.
    pub(super) fn stop(&mut self) {
        self.waiting.clear();
    }

    /// Whether the conductor knows that all are open or have failed.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    pub(super) fn settle(&mut self) {
        self.settled = true;
    }
}
