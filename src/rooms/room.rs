//! One room and its members.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::block::Block;
use super::flush::flush_all;
use crate::platform::readiness::{ReadinessSet, Task};
use crate::platform::tune::tuning;
use crate::platform::turn_state::TurnState;
use crate::session::handle::{PushError, SessionHandle};
use crate::transport::push::HIGH_WATER_MARK;
use crate::transport::termination::TerminationReason;

/// Time for which senders wait for a member whose queue is longer than 256 KiB; then the member is evicted as
/// a slow reader. Longer than a burst that fills the queue of a member that reads.
const SLOW_MEMBER_TIMEOUT: Duration = Duration::from_millis(50);

/// Time after which senders do not wait for a member whose socket takes nothing.
const STALLED_MEMBER_TIMEOUT: Duration = Duration::from_millis(5);

/// Returns [`STALLED_MEMBER_TIMEOUT`].
fn stalled_member_timeout() -> Duration {
    tuning().room_stalled_ms.map_or(STALLED_MEMBER_TIMEOUT, |time| Duration::from_millis(time as u64))
}

/// Time after which a member is evicted whose queue has been longer than 256 KiB, although senders have not
/// waited for it: a process that does not run for a moment is no slow reader.
const LONG_QUEUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Length of a member's queue, in bytes, at which the member is evicted at once. Large blocks are in memory
/// once for all members.
const MAX_QUEUE: usize = 4 << 20;

/// One room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    members: Mutex<Members>,
    /// A sender has to wait for a member.
    slow: AtomicBool,
    /// The subscription of the room is confirmed, or the room is in this process only.
    ready: AtomicBool,
    /// The sending of the members' queues: by one thread at a time, and again if blocks were queued
    /// meanwhile.
    flushing: TurnState,
    /// Messages that were queued since the last sending began.
    unsent: AtomicU64,
}

/// The members of a room.
#[derive(Debug, Default)]
struct Members {
    /// In the order of joining.
    all: Vec<Member>,
    /// The sessions of the members; `None` after a change.
    sessions: Option<Arc<[Arc<SessionHandle>]>>,
    /// The last member has left. No session may join; the next one creates a new room of this name.
    abandoned: bool,
}

/// One member.
#[derive(Debug)]
struct Member {
    handle: Arc<SessionHandle>,
    /// Its queue is longer than 256 KiB.
    slow: Option<Slow>,
    /// The progress of its socket and the time when it was seen first, while bytes wait for room in it.
    stalled: Option<(u64, Instant)>,
}

/// The time for which a member's queue has been long.
#[derive(Clone, Copy, Debug)]
struct Slow {
    since: Instant,
    /// Time of the last look, if senders have waited for the member since then.
    awaited_at: Option<Instant>,
    /// How long senders have waited for it.
    awaited: Duration,
}

/// What is done with a member whose queue is long.
#[derive(PartialEq, Eq)]
enum Slowness {
    /// Its queue is short, or it takes nothing and the room goes on without it.
    Ignored,
    /// Senders wait for it.
    Awaited,
    Evicted,
}

impl Room {
    /// Adds a member. Returns `false` if the room is abandoned.
    pub(super) fn join(&self, handle: &Arc<SessionHandle>) -> bool {
        let mut members = self.lock();
        if !members.abandoned {
            members.all.push(Member { handle: Arc::clone(handle), slow: None, stalled: None });
            members.sessions = None;
        }
        !members.abandoned
    }

    /// Removes a member. Returns whether the room is abandoned.
    pub(super) fn leave(&self, id: u64) -> bool {
        let mut members = self.lock();
        members.all.retain(|member| member.handle.id() != id);
        members.sessions = None;
        members.abandoned = members.all.is_empty();
        members.abandoned
    }

    /// Queues a block for all members, in the order of joining. Evicts members whose queue is full.
    pub(crate) fn queue(&self, block: &Block) {
        let (mut slow, now) = (false, Instant::now());
        let Block { frames, messages, payload_bytes } = block;
        self.unsent.fetch_add(*messages, Relaxed);
        self.retain(|member| {
            match member.handle.push_frames(frames, *messages, *payload_bytes, MAX_QUEUE) {
                Ok(queued) => {
                    let slowness = member.slowness(queued, now);
                    slow |= slowness == Slowness::Awaited;
                    slowness != Slowness::Evicted
                }
                // A closed member leaves the room by itself.
                Err(PushError::Closed) => true,
                Err(PushError::Busy) => false,
            }
        });
        self.slow.store(slow, Relaxed);
    }

    /// Returns whether senders have to wait for a member. Then they have to call
    /// [`has_slow_members`](Self::has_slow_members) until it returns `false`.
    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Relaxed)
    }

    /// Returns whether senders have to wait for a member. Evicts members for which they have waited for
    /// [`SLOW_MEMBER_TIMEOUT`], with Close 1013.
    pub(crate) fn has_slow_members(&self) -> bool {
        let (mut slow, now) = (false, Instant::now());
        self.retain(|member| {
            let slowness = member.slowness(member.handle.writer().queued_bytes(), now);
            slow |= slowness == Slowness::Awaited;
            slowness != Slowness::Evicted
        });
        self.slow.store(slow, Relaxed);
        slow
    }

    /// Keeps the members for which the function returns `true`, and evicts the others as slow readers.
    fn retain(&self, mut keep: impl FnMut(&mut Member) -> bool) {
        let mut members = self.lock();
        let before = members.all.len();
        members.all.retain_mut(|member| {
            let keeps = keep(member);
            if !keeps {
                member.handle.evict(TerminationReason::TooSlow);
            }
            keeps
        });
        if members.all.len() < before {
            members.sessions = None;
        }
    }

    /// Sends the queues of all members, as far as the kernel takes them at once; workers that wait help. The
    /// members' own sessions send the rest. If another thread sends them, that thread does it once more.
    pub(crate) fn flush(self: &Arc<Self>, readiness: &ReadinessSet) {
        if self.flushing.schedule() {
            self.flush_scheduled(readiness);
        }
    }

    /// Lets a worker send the queues of all members.
    pub(super) fn schedule_flush(self: &Arc<Self>) {
        // Without members there is nothing to send, and no set of sessions.
        let Some(session) = self.sessions().first().map(Arc::clone) else { return };
        if self.flushing.schedule() {
            let task: Arc<dyn Task> = Arc::new(RoomFlush(Arc::clone(self)));
            session.readiness().schedule_task(&task, 1);
        }
    }

    fn flush_scheduled(self: &Arc<Self>, readiness: &ReadinessSet) {
        if !self.flushing.begin(true) {
            return;
        }
        flush_all(self.sessions(), self.unsent.swap(0, Relaxed), readiness);
        if !self.flushing.wait() {
            readiness.requeue_task(Arc::new(RoomFlush(Arc::clone(self))));
        }
    }

    /// Ends the sessions of all members.
    pub(super) fn evict_all(&self, reason: TerminationReason) {
        // Not under the lock: members may join and leave meanwhile.
        self.sessions().iter().for_each(|session| session.evict(reason));
    }

    /// Returns the number of members.
    pub(super) fn len(&self) -> usize {
        self.lock().all.len()
    }

    /// Returns the sessions of the members, in the order of joining.
    fn sessions(&self) -> Arc<[Arc<SessionHandle>]> {
        let Members { all: members, sessions, .. } = &mut *self.lock();
        let all = || members.iter().map(|member| Arc::clone(&member.handle)).collect();
        Arc::clone(sessions.get_or_insert_with(all))
    }

    /// Returns whether members may send: their messages would come back.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }

    /// Records whether members may send.
    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        // A panic of another thread leaves the data consistent.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending of the queues of a room's members, as a task.
#[derive(Debug)]
struct RoomFlush(Arc<Room>);

impl Task for RoomFlush {
    fn run(self: Arc<Self>, readiness: &ReadinessSet) {
        self.0.flush_scheduled(readiness);
    }
}

impl Member {
    /// Returns what is to be done with the member, which has `queued` bytes in its queue, and notes since
    /// when its queue has been long and its socket has taken nothing.
    fn slowness(&mut self, queued: usize, now: Instant) -> Slowness {
        let writer = self.handle.writer();
        let progress = writer.has_unsent().then(|| writer.progress());
        self.stalled = match (self.stalled, progress) {
            (Some((seen, since)), Some(progress)) if seen == progress => Some((seen, since)),
            (_, progress) => progress.map(|progress| (progress, now)),
        };
        if queued <= HIGH_WATER_MARK {
            self.slow = None;
            return Slowness::Ignored;
        }
        let stalled = self.stalled.is_some_and(|(_, since)| now - since >= stalled_member_timeout());
        let slow = self.slow.get_or_insert(Slow { since: now, awaited_at: None, awaited: Duration::ZERO });
        if let Some(before) = slow.awaited_at.take() {
            slow.awaited += now - before;
        }
        if slow.awaited >= SLOW_MEMBER_TIMEOUT || now - slow.since >= LONG_QUEUE_TIMEOUT {
            return Slowness::Evicted;
        }
        slow.awaited_at = (!stalled).then_some(now);
        if stalled { Slowness::Ignored } else { Slowness::Awaited }
    }
}
