//! Messages that are due and have no connection: theirs was lost, or no connection of their thread is open.

use crate::workload::slot_queue::{SlotQueue, Ticket};
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// A queue for each thread's part of the schedule. Any thread may take from all of them.
#[derive(Debug)]
pub(crate) struct Unassigned {
    /// Number of messages. Read without the lock, so that taking nothing costs one load.
    len: AtomicU64,
    lanes: Mutex<Vec<SlotQueue>>,
}

impl Unassigned {
    pub(crate) fn new(threads: u32) -> Self {
        Self {
            len: AtomicU64::new(0),
            lanes: Mutex::new((0..threads).map(|_| SlotQueue::default()).collect()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SlotQueue>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store_len(&self, lanes: &[SlotQueue]) {
        self.len.store(lanes.iter().map(SlotQueue::len).sum(), Ordering::Relaxed);
    }

    /// Adds the messages that waited on a connection of thread `lane`.
    pub(crate) fn add(&self, lane: u32, queue: &mut SlotQueue) {
        if queue.len() > 0 {
            self.change(lane, |mine| mine.append(queue));
        }
    }

    /// Adds `count` messages of thread `first.lane`.
    pub(crate) fn add_range(&self, first: Ticket, count: u64) {
        self.change(first.lane, |mine| mine.push_range(first, count));
    }

    fn change(&self, lane: u32, action: impl FnOnce(&mut SlotQueue)) {
        let mut lanes = self.lock();
        if let Some(mine) = usize::try_from(lane).ok().and_then(|lane| lanes.get_mut(lane)) {
            action(mine);
        }
        self.store_len(&lanes);
    }

    /// Moves at most `room` messages to `queue`, from all threads in turn.
    pub(crate) fn take(&self, queue: &mut SlotQueue, room: u64) {
        let mut lanes = self.lock();
        let mut left = room;
        let mut took = true;
        while left > 0 && took {
            took = false;
            for lane in lanes.iter_mut() {
                if left > 0
                    && let Some(ticket) = lane.pop()
                {
                    queue.push(ticket);
                    left -= 1;
                    took = true;
                }
            }
        }
        self.store_len(&lanes);
    }
}
