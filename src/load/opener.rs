//! When connections are opened: all at once, over a ramp, or at a rate.

use super::plan::Plan;
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
    start: Instant,
    /// Between two of this thread's.
    gap: Duration,
    /// This thread's first one after `start`.
    offset: Duration,
    begun: u32,
    in_batch: u32,
    settled: bool,
}

impl Opener {
    pub(super) fn new(plan: &Plan, thread: u32, slots: usize, start: Instant) -> Self {
        Self {
            waiting: (0..slots).collect(),
            start,
            gap: plan.opening_gap.saturating_mul(plan.threads),
            offset: plan.opening_gap.saturating_mul(thread),
            begun: 0,
            in_batch: 0,
            settled: false,
        }
    }

    fn due(&self) -> Instant {
        self.start + self.offset + self.gap.saturating_mul(self.begun)
    }

    /// The next connection to be opened by `now`, and when it was due; `None` also ends a batch.
    pub(super) fn next(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let due = self.due();
        if self.in_batch == BATCH || due > now {
            self.in_batch = 0;
            return None;
        }
        let Some(slot) = self.waiting.pop_front() else {
            self.in_batch = 0;
            return None;
        };
        self.in_batch += 1;
        self.begun = self.begun.saturating_add(1);
        Some((slot, if self.gap.is_zero() { now } else { due }))
    }

    /// Puts a connection back in line.
    pub(super) fn again(&mut self, slot: usize) {
        self.waiting.push_back(slot);
    }

    /// When something will have to be opened.
    pub(super) fn wake(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then(|| self.due())
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
