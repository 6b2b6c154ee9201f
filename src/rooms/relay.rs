//! What workers, the publisher and the subscriber share: the queue of blocks to publish, and whether the
//! connections are up.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::block::Block;
use crate::metrics::rooms::RoomCounters;
use crate::platform::memory_budget::{MemoryBudget, Reservation};
use crate::session::handle::SessionHandle;
use crate::transport::termination::TerminationReason;

/// Length of the queue, in bytes, above which senders wait.
const HIGH_WATER_MARK: usize = 1 << 20;

/// Maximum length of the queue, in bytes. A sender that exceeds it is closed with 1013. Reached only if many
/// senders exceed [`HIGH_WATER_MARK`] at once.
const MAX_QUEUE: usize = 32 << 20;

/// Bytes that are published in one step at most, unless one block is larger.
const MAX_STEP: usize = 1 << 20;

/// A block of a member.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) room: Arc<str>,
    pub(super) block: Block,
    pub(super) sender: Arc<SessionHandle>,
}

/// Why a block was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A connection to Redis is down, or the room has no subscription.
    Disconnected,
    /// The queue is full, or memory is short.
    Full,
}

/// What the publisher has to do.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// In the order of submission.
    pub(super) submissions: Vec<Submission>,
    /// Wake the subscriber: rooms were created or removed, or the server stops.
    pub(super) wake_subscriber: bool,
    /// Nothing follows.
    pub(super) last: bool,
}

/// The state that workers, publisher and subscriber share.
#[derive(Debug)]
pub(crate) struct Relay {
    state: Mutex<State>,
    /// The state has changed: something is to do for the publisher, a connection is up, or the relay stops.
    changed: Condvar,
    counters: Arc<RoomCounters>,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
struct State {
    queue: VecDeque<Submission>,
    /// Bytes in `queue` and in the publisher's step.
    queued_bytes: usize,
    memory: Reservation,
    /// The senders of the publisher's step, and their numbers of messages, until Redis has replied.
    in_flight: Vec<(Arc<SessionHandle>, u64)>,
    wake_subscriber: bool,
    publisher_up: bool,
    subscriber_up: bool,
    stopping: bool,
}

impl Relay {
    pub(super) fn new(memory: &Arc<MemoryBudget>, counters: Arc<RoomCounters>) -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                queued_bytes: 0,
                memory: Reservation::new(memory),
                in_flight: Vec::new(),
                wake_subscriber: false,
                publisher_up: false,
                subscriber_up: false,
                stopping: false,
            }),
            changed: Condvar::new(),
            counters,
        }
    }

    /// Returns the counters.
    pub(crate) fn counters(&self) -> &RoomCounters {
        &self.counters
    }

    /// Returns whether both connections to Redis are up.
    pub(crate) fn is_connected(&self) -> bool {
        self.counters.connected.load(Relaxed)
    }

    /// Returns whether senders have to wait, because the queue is long.
    pub(crate) fn is_backlogged(&self) -> bool {
        self.lock().queued_bytes > HIGH_WATER_MARK
    }

    /// Queues a block of a room whose subscription is `ready`. Returns whether the sender has to wait until
    /// [`is_backlogged`](Self::is_backlogged) returns `false`. If the block is not published later, the
    /// sender is closed with 1013.
    ///
    /// # Errors
    /// If the block was not queued.
    pub(crate) fn submit(
        &self,
        room: &Arc<str>,
        block: Block,
        sender: &Arc<SessionHandle>,
        ready: bool,
    ) -> Result<bool, Refusal> {
        let mut state = self.lock();
        let bytes = state.queued_bytes + block.frames.len();
        let refusal = if !(ready && state.is_connected()) {
            Some(Refusal::Disconnected)
        } else if state.resize(bytes) {
            None
        } else {
            Some(Refusal::Full)
        };
        if let Some(refusal) = refusal {
            self.counters.failed.fetch_add(block.messages, Relaxed);
            return Err(refusal);
        }
        state.queue.push_back(Submission { room: Arc::clone(room), block, sender: Arc::clone(sender) });
        self.changed.notify_all();
        Ok(state.queued_bytes > HIGH_WATER_MARK)
    }

    /// Lets the subscriber compare its subscriptions with the rooms.
    pub(crate) fn request_subscriptions(&self) {
        self.lock().wake_subscriber = true;
        self.changed.notify_all();
    }

    /// Ends both threads: the publisher when it has published the queue.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        state.wake_subscriber = true;
        self.changed.notify_all();
    }

    /// Returns whether the threads have to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Blocks for this time, or until the relay stops. Returns `false` if it stops.
    pub(super) fn sleep(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut state = self.lock();
        while !state.stopping {
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else { return true };
            state = self.wait(state, rest);
        }
        false
    }

    /// Returns the publisher's next step, which begins now: it has to end with [`end_step`](Self::end_step)
    /// or [`fail`](Self::fail). Blocks until there is something to do, or for `heartbeat`; then the step
    /// wakes the subscriber.
    pub(super) fn begin_step(&self, heartbeat: Duration) -> Step {
        let deadline = Instant::now() + heartbeat;
        let mut state = self.lock();
        while state.queue.is_empty() && !state.wake_subscriber {
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else {
                state.wake_subscriber = true;
                break;
            };
            state = self.wait(state, rest);
        }
        let mut step =
            Step { wake_subscriber: std::mem::take(&mut state.wake_subscriber), ..Step::default() };
        let mut bytes = 0;
        while let Some(submission) = state.queue.pop_front() {
            bytes += submission.block.frames.len();
            state.in_flight.push((Arc::clone(&submission.sender), submission.block.messages));
            step.submissions.push(submission);
            if bytes >= MAX_STEP {
                break;
            }
        }
        step.last = state.stopping && state.queue.is_empty();
        step
    }

    /// Ends the publisher's step, whose blocks had so many bytes: Redis has replied to all of them.
    pub(super) fn end_step(&self, bytes: usize) {
        let mut state = self.lock();
        state.in_flight.clear();
        let rest = state.queued_bytes.saturating_sub(bytes);
        state.queued_bytes = rest;
        state.memory.force(rest);
    }

    /// Records that the connection of the publisher is up or down.
    pub(super) fn set_publisher_up(&self, up: bool) {
        self.set_up(|state| state.publisher_up = up);
    }

    /// Records that the connection of the subscriber is up or down.
    pub(super) fn set_subscriber_up(&self, up: bool) {
        self.set_up(|state| state.subscriber_up = up);
    }

    fn set_up(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        self.counters.connected.store(state.is_connected(), Relaxed);
        self.changed.notify_all();
    }

    /// Blocks until both connections are up. Returns `false` if they are not within `timeout`.
    pub(super) fn wait_until_connected(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        while !state.is_connected() {
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else { return false };
            state = self.wait(state, rest);
        }
        true
    }

    /// Closes the senders of all blocks that may not have been published, with 1013, and drops the blocks.
    /// Call when a connection is down.
    pub(super) fn fail(&self) {
        let mut state = self.lock();
        let in_flight = std::mem::take(&mut state.in_flight);
        let queued = std::mem::take(&mut state.queue);
        state.queued_bytes = 0;
        state.memory.force(0);
        // The publisher finds out whether its connection is down too.
        state.wake_subscriber = true;
        self.changed.notify_all();
        drop(state);
        let queued = queued.into_iter().map(|submission| (submission.sender, submission.block.messages));
        for (sender, messages) in in_flight.into_iter().chain(queued) {
            self.close_sender(&sender, messages);
        }
    }

    /// Closes the sender of messages that may not have been published, with 1013.
    pub(super) fn close_sender(&self, sender: &SessionHandle, messages: u64) {
        self.counters.failed.fetch_add(messages, Relaxed);
        sender.evict(TerminationReason::NotPublished);
    }

    /// Waits for a change for at most `time`.
    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of another thread leaves the state consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_connected(&self) -> bool {
        self.publisher_up && self.subscriber_up
    }

    /// Counts `bytes` as queued, if the queue and the server's memory have room for them.
    fn resize(&mut self, bytes: usize) -> bool {
        let fits = bytes <= MAX_QUEUE && self.memory.resize(bytes);
        if fits {
            self.queued_bytes = bytes;
        }
        fits
    }
}
