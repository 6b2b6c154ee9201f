//! The readiness set: the sessions that wait for bytes, for room in their socket, or for a time, and the
//! queue of those that are ready for a worker.
//!
//! All workers wait in one `epoll(7)` instance. A session is in it with `EPOLLONESHOT`: an event disarms it,
//! so at most one worker gets it, and [`ReadinessSet::arm`] arms it again. Events of the kernel, expired
//! wake-up times and sessions that another thread schedules all pass through one queue.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use log::error;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::time::Timespec;

use super::tune::tuning;
use super::wake_timers::WakeTimers;

/// Most events that one wait returns. Each wait is a system call; see scripts/TUNING.md.
const MAX_EVENTS: usize = 16;

/// Event data of the wake-up by another thread. Sessions have numbers from 1.
const WAKE_UP: u64 = u64::MAX;

/// Event data of the timer.
const TIMER: u64 = u64::MAX - 1;

/// What a session waits for. An error or the end of the connection in both directions always ends the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Bytes of the peer, or the end of its stream.
    Read,
    /// Room in the send buffer of the socket.
    Write,
    /// Only a time, or another thread.
    Nothing,
}

/// A session that is ready for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Number of the session.
    pub(crate) id: u64,
    /// Why it is ready.
    pub(crate) cause: Cause,
}

/// Why a session is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its socket is, or its connection has ended.
    Socket,
    /// Its wake-up time has come.
    Time,
    /// Another thread scheduled it, or its worker had more to do.
    Scheduled,
}

/// Work for a worker that is no turn of a session. It must not block, and should take less than a
/// millisecond; the rest is another task.
pub(crate) trait Task: Debug + Send + Sync {
    /// Does the work.
    fn run(self: Arc<Self>, readiness: &ReadinessSet);
}

/// An entry of the queue.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// A turn of a session.
    Session(Ready),
    Task(Arc<dyn Task>),
}

/// The readiness set of one server.
#[derive(Debug)]
pub(crate) struct ReadinessSet {
    epoll: OwnedFd,
    /// An `eventfd(2)` that wakes one waiting worker for each write.
    wake_up: OwnedFd,
    timers: WakeTimers,
    ready: Mutex<VecDeque<Work>>,
    /// Number of workers that wait or are about to.
    waiting: AtomicUsize,
    /// A wake-up was sent that no worker has got: another one would wake no further worker earlier.
    wake_up_sent: AtomicBool,
    closed: AtomicBool,
}

impl ReadinessSet {
    /// Creates an empty set. Takes three file descriptors.
    ///
    /// # Errors
    /// The errors of `epoll_create1(2)`, `eventfd(2)` and `timerfd_create(2)`.
    pub(crate) fn new() -> io::Result<Self> {
        let set = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            wake_up: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            timers: WakeTimers::new()?,
            ready: Mutex::default(),
            waiting: AtomicUsize::new(0),
            wake_up_sent: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        };
        // Edge-triggered: each write or expiry is one event for one worker, and needs no read.
        let edge = EventFlags::IN | EventFlags::ET;
        epoll::add(&set.epoll, &set.wake_up, EventData::new_u64(WAKE_UP), edge)?;
        epoll::add(&set.epoll, &set.timers, EventData::new_u64(TIMER), edge)?;
        Ok(set)
    }

    /// Adds the socket of a session, which waits for its first bytes.
    ///
    /// # Errors
    /// The errors of `epoll_ctl(2)`, for example if `fs.epoll.max_user_watches` is reached.
    pub(crate) fn add(&self, socket: impl AsFd, id: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(id), flags(Interest::Read))?)
    }

    /// Arms the socket of a session again. From now on another worker may get the session.
    ///
    /// # Errors
    /// The errors of `epoll_ctl(2)`.
    pub(crate) fn arm(&self, socket: impl AsFd, id: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(id), flags(interest))?)
    }

    /// Replaces the wake-up time `old` of a session by `new`.
    pub(crate) fn set_wake_up(&self, id: u64, old: Option<Instant>, new: Option<Instant>) {
        self.timers.replace(id, old, new);
    }

    /// Puts a session into the queue, and wakes a worker if one waits.
    pub(crate) fn schedule(&self, id: u64) {
        self.lock().push_back(scheduled(id));
        self.wake_worker();
    }

    /// Puts a task into the queue `copies` times, and wakes a worker for each copy if so many wait.
    pub(crate) fn schedule_task(&self, task: &Arc<dyn Task>, copies: usize) {
        let entries = std::iter::repeat_with(|| Work::Task(Arc::clone(task))).take(copies);
        self.lock().extend(entries);
        (0..copies).for_each(|_| self.wake_worker());
    }

    /// Puts a task behind the rest of the queue, for the calling worker. Wakes no other worker.
    pub(crate) fn requeue_task(&self, task: Arc<dyn Task>) {
        self.lock().push_back(Work::Task(task));
    }

    /// Returns the number of workers that wait, as of now.
    pub(crate) fn waiting_workers(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    /// Puts a session behind the others in the queue, for the calling worker, which takes the next one at
    /// once. Wakes no other worker: a session that moves between processors is slower.
    pub(crate) fn requeue(&self, id: u64) {
        self.lock().push_back(scheduled(id));
    }

    /// Ends all current and future waits.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.wake_worker();
    }

    /// Wakes one waiting worker, if there is one and no wake-up is under way. The caller has queued a
    /// session, or closed the set, before.
    fn wake_worker(&self) {
        if self.waiting.load(SeqCst) > 0
            && !self.wake_up_sent.swap(true, SeqCst)
            && let Err(error) = rustix::io::write(&self.wake_up, &1_u64.to_ne_bytes())
            // The counter is at its maximum: a wake-up is pending.
            && error != Errno::AGAIN
        {
            error!("cannot wake a worker: {error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Work>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the entry of a session that another thread or its worker has scheduled.
fn scheduled(id: u64) -> Work {
    Work::Session(Ready { id, cause: Cause::Scheduled })
}

/// Returns the events to wait for.
fn flags(interest: Interest) -> EventFlags {
    let wanted = match interest {
        Interest::Read => EventFlags::IN,
        Interest::Write => EventFlags::OUT,
        Interest::Nothing => EventFlags::empty(),
    };
    wanted | EventFlags::ONESHOT
}

/// The end of a readiness set that one worker uses.
pub(crate) struct Waiter<'a> {
    set: &'a ReadinessSet,
    events: Vec<Event>,
    /// [`MAX_EVENTS`].
    max_events: usize,
    /// Sessions taken from the queue since the kernel was asked.
    taken: usize,
}

impl<'a> Waiter<'a> {
    pub(crate) fn new(set: &'a ReadinessSet) -> Self {
        let max_events = tuning().max_events.unwrap_or(MAX_EVENTS);
        Self { set, events: Vec::with_capacity(max_events), max_events, taken: 0 }
    }

    /// Queues the sessions for which the kernel has events. Does not block.
    fn poll(&mut self) {
        self.ask(Some(&Timespec::default()));
    }

    /// Blocks until at least one event, and queues the sessions that are ready.
    fn wait(&mut self) {
        let set = self.set;
        set.waiting.fetch_add(1, SeqCst);
        // A session that was scheduled before this worker counted as waiting has sent no wake-up.
        let must_wait = set.lock().is_empty() && !set.closed.load(SeqCst);
        if must_wait {
            self.ask(None);
        }
        set.waiting.fetch_sub(1, SeqCst);
    }

    /// Waits for events for at most `timeout` and queues their sessions.
    fn ask(&mut self, timeout: Option<&Timespec>) {
        self.taken = 0;
        self.events.clear();
        match epoll::wait(&self.set.epoll, spare_capacity(&mut self.events), timeout) {
            Ok(_) | Err(Errno::INTR) => self.queue_events(),
            Err(error) => error!("a worker cannot wait for connections: {error}"),
        }
    }

    fn queue_events(&mut self) {
        let set = self.set;
        let mut timer_expired = false;
        let mut queue = set.lock();
        for event in self.events.drain(..) {
            match event.data.u64() {
                // Before this worker looks at the queue: what is queued from here on sends a wake-up of its
                // own.
                WAKE_UP => set.wake_up_sent.store(false, SeqCst),
                TIMER => timer_expired = true,
                id => queue.push_back(Work::Session(Ready { id, cause: Cause::Socket })),
            }
        }
        drop(queue);
        if timer_expired {
            let due = set.timers.take_due(Instant::now());
            let ready = due.into_iter().map(|id| Work::Session(Ready { id, cause: Cause::Time }));
            set.lock().extend(ready);
        }
    }
}

impl Iterator for Waiter<'_> {
    type Item = Work;

    /// Blocks until there is work. Returns `None` after [`ReadinessSet::close`].
    fn next(&mut self) -> Option<Work> {
        loop {
            if self.set.closed.load(SeqCst) {
                // One wake-up reaches one worker, which passes it on.
                self.set.wake_worker();
                return None;
            }
            // The queue may never be empty, and the kernel may have events meanwhile.
            if self.taken == self.max_events {
                self.poll();
            }
            let mut queue = self.set.lock();
            if let Some(work) = queue.pop_front() {
                let more = !queue.is_empty();
                drop(queue);
                self.taken += 1;
                if more {
                    self.set.wake_worker();
                }
                return Some(work);
            }
            drop(queue);
            self.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the next entry if it is a session.
    fn next_session(waiter: &mut Waiter<'_>) -> Option<Ready> {
        match waiter.next()? {
            Work::Session(ready) => Some(ready),
            Work::Task(_) => None,
        }
    }

    /// Returns the number of wake-ups that were written since the last call, and lets no worker have them.
    fn written(set: &ReadinessSet) -> u64 {
        let mut value = [0; 8];
        rustix::io::read(&set.wake_up, &mut value).map_or(0, |_| u64::from_ne_bytes(value))
    }

    #[test]
    fn wake_up_is_written_once_until_a_worker_has_got_it() {
        let set = ReadinessSet::new().unwrap();
        set.schedule(1);
        assert_eq!(written(&set), 0, "no worker waits");
        set.waiting.store(1, SeqCst);
        (2..10).for_each(|id| set.schedule(id));
        assert_eq!(written(&set), 1);
        let mut waiter = Waiter::new(&set);
        // The worker that gets the wake-up passes it on, because more sessions are ready.
        set.wake_up_sent.store(false, SeqCst);
        set.schedule(10);
        waiter.poll();
        assert_eq!(next_session(&mut waiter), Some(Ready { id: 1, cause: Cause::Scheduled }));
        assert_eq!(written(&set), 2, "the one that it has got, and the one that it sends");
        assert_eq!(next_session(&mut waiter), Some(Ready { id: 2, cause: Cause::Scheduled }));
        assert_eq!(written(&set), 0);
    }

    #[test]
    fn each_of_several_waiting_workers_gets_sessions() {
        let set = ReadinessSet::new().unwrap();
        let barrier = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let ready = Waiter::new(&set).next();
                    assert!(ready.is_some());
                    // Passed only when each worker has a session.
                    barrier.wait();
                });
            }
            while set.waiting.load(SeqCst) < 4 {
                std::thread::yield_now();
            }
            (1..=4).for_each(|id| set.schedule(id));
        });
    }
}
