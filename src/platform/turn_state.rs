//! Which thread owns a session: the hand-over between the readiness set and the workers.
//!
//! | from | to | by |
//! |---|---|---|
//! | waiting | scheduled | a thread that has work for the session; it queues the session |
//! | scheduled | running | the worker that took this entry from the queue; it owns the session now |
//! | waiting | running | a worker that took an event of the session from the queue; it owns the session now |
//! | running | running again | a thread that has work, or a worker that took an event from the queue |
//! | running | waiting | the owner, after it armed the socket; it owns the session no longer |
//! | running again | scheduled | the owner, after it armed the socket; it queues the session, for another turn |
//! | running, running again | ended | the owner |
//!
//! | running | scheduled | the owner, which has used its share; it queues the session |
//!
//! One atomic holds the state, so the owner is one thread or none at any time. A thread that finds the
//! session running leaves a mark instead of waiting, so no event is lost. A session has one entry in the
//! queue for being scheduled, and only while it is; an event that finds it scheduled is dropped, because that
//! turn comes anyway.

use std::sync::atomic::{AtomicU8, Ordering};

/// The states.
const WAITING: u8 = 0;
const SCHEDULED: u8 = 1;
const RUNNING: u8 = 2;
const RUNNING_AGAIN: u8 = 3;
const ENDED: u8 = 4;

/// The ownership of one session. Begins as waiting.
#[derive(Debug, Default)]
pub(crate) struct TurnState(AtomicU8);

impl TurnState {
    /// Asks for a turn. Returns whether the caller has to queue the session; otherwise it is queued already,
    /// its owner takes another turn, or it has ended.
    pub(crate) fn schedule(&self) -> bool {
        self.update(|state| match state {
            WAITING => Some(SCHEDULED),
            RUNNING => Some(RUNNING_AGAIN),
            _ => None,
        }) == Some(WAITING)
    }

    /// Takes the session, after the caller took it from the queue: the entry of [`schedule`](Self::schedule)
    /// or [`requeue`](Self::requeue) if `scheduled`, otherwise an event. Returns whether the caller owns it
    /// now; otherwise it has another turn later, or has ended.
    pub(crate) fn begin(&self, scheduled: bool) -> bool {
        let from = if scheduled { SCHEDULED } else { WAITING };
        self.update(|state| match state {
            state if state == from => Some(RUNNING),
            RUNNING if !scheduled => Some(RUNNING_AGAIN),
            _ => None,
        }) == Some(from)
    }

    /// Gives the session up. Returns whether it waits; otherwise the caller has to queue it. Call after the
    /// socket was armed, and after the last use of the session.
    pub(crate) fn wait(&self) -> bool {
        self.update(|state| match state {
            RUNNING => Some(WAITING),
            RUNNING_AGAIN => Some(SCHEDULED),
            _ => None,
        }) != Some(RUNNING_AGAIN)
    }

    /// Gives the session up, but keeps it ready: the caller has to queue it.
    pub(crate) fn requeue(&self) {
        self.0.store(SCHEDULED, Ordering::Release);
    }

    /// Ends the session. No later call has an effect.
    pub(crate) fn end(&self) {
        self.0.store(ENDED, Ordering::Release);
    }

    /// Returns whether the session waits and is not in the queue.
    pub(crate) fn is_waiting(&self) -> bool {
        self.0.load(Ordering::Relaxed) == WAITING
    }

    /// Applies a transition in one atomic step. Returns the state before it, or `None` if it does not apply.
    fn update(&self, transition: impl FnMut(u8) -> Option<u8>) -> Option<u8> {
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, transition).ok()
    }
}

/// Runs all interleavings of two workers, arriving bytes and a requesting thread, without an end.
#[cfg(test)]
mod tests {
    use std::collections::{HashSet, VecDeque};

    use super::*;

    /// What the threads of the model have done and will do next.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Model {
        turn: u8,
        /// The kernel reports the socket once.
        armed: bool,
        /// Bytes have arrived that no turn has read.
        unread: bool,
        request: Request,
        /// Entries of the session in the queue, oldest first; `true` for being scheduled.
        queue: VecDeque<bool>,
        workers: [Worker; 2],
    }

    /// Work of another thread for the session.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    struct Request {
        /// No turn has seen it.
        unseen: bool,
        /// The thread has not called `schedule` yet.
        unscheduled: bool,
    }

    /// The next step of a worker.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    enum Worker {
        Idle,
        /// Took an entry from the queue.
        Taken(bool),
        /// Owns the session.
        Turn,
        /// Owns it, and has nothing more to do.
        Arm,
        GiveUp,
        /// Owns it, and has used its share.
        Requeue,
    }

    impl Model {
        fn new() -> Self {
            Self {
                turn: WAITING,
                armed: true,
                unread: false,
                request: Request { unseen: false, unscheduled: false },
                queue: VecDeque::new(),
                workers: [Worker::Idle; 2],
            }
        }

        /// Applies an operation to the state.
        fn state<T>(&mut self, operation: impl FnOnce(&TurnState) -> T) -> T {
            let state = TurnState(AtomicU8::new(self.turn));
            let result = operation(&state);
            self.turn = state.0.into_inner();
            result
        }

        /// Returns the model after a change.
        fn after(&self, change: impl FnOnce(&mut Self)) -> Self {
            let mut model = self.clone();
            change(&mut model);
            model
        }

        /// Returns the models after something new: bytes, or work of another thread.
        fn arrivals(&self) -> Vec<Self> {
            let bytes = self.after(|model| model.unread = true);
            let request = self.after(|model| model.request = Request { unseen: true, unscheduled: true });
            if self.request.unscheduled { vec![bytes] } else { vec![bytes, request] }
        }

        /// Returns the models after each other step that some thread can do next.
        fn steps(&self) -> Vec<Self> {
            let mut next = Vec::new();
            if self.armed && self.unread {
                next.push(self.after(|model| {
                    model.armed = false;
                    model.queue.push_back(false);
                }));
            }
            if self.request.unscheduled {
                next.push(self.after(|model| {
                    model.request.unscheduled = false;
                    if model.state(TurnState::schedule) {
                        model.queue.push_back(true);
                    }
                }));
            }
            (0..2).for_each(|index| next.extend(self.worker_steps(index)));
            next
        }

        fn worker_steps(&self, index: usize) -> Vec<Self> {
            let then = |worker, model: &mut Self| model.workers[index] = worker;
            match self.workers[index] {
                Worker::Idle => self
                    .queue
                    .front()
                    .map(|&scheduled| {
                        self.after(|model| {
                            model.queue.pop_front();
                            then(Worker::Taken(scheduled), model);
                        })
                    })
                    .into_iter()
                    .collect(),
                Worker::Taken(scheduled) => vec![self.after(|model| {
                    let owns = model.state(|state| state.begin(scheduled));
                    then(if owns { Worker::Turn } else { Worker::Idle }, model);
                })],
                Worker::Turn => {
                    let all = self.after(|model| {
                        (model.unread, model.request.unseen) = (false, false);
                        then(Worker::Arm, model);
                    });
                    vec![all, self.after(|model| then(Worker::Requeue, model))]
                }
                Worker::Arm => vec![self.after(|model| {
                    model.armed = true;
                    then(Worker::GiveUp, model);
                })],
                Worker::GiveUp => vec![self.after(|model| {
                    if !model.state(TurnState::wait) {
                        model.queue.push_back(true);
                    }
                    then(Worker::Idle, model);
                })],
                Worker::Requeue => vec![self.after(|model| {
                    model.state(TurnState::requeue);
                    model.queue.push_back(true);
                    then(Worker::Idle, model);
                })],
            }
        }
    }

    #[test]
    fn turn_state_has_one_owner_and_loses_no_event_in_any_interleaving() {
        let start = Model::new();
        let (mut seen, mut open) = (HashSet::from([start.clone()]), vec![start]);
        while let Some(model) = open.pop() {
            let owns = |worker: &&Worker| !matches!(worker, Worker::Idle | Worker::Taken(_));
            assert!(model.workers.iter().filter(owns).count() <= 1, "{model:?}");
            let scheduled = model.queue.iter().filter(|scheduled| **scheduled).count();
            assert!(scheduled <= 1 && model.queue.len() <= 4, "the queue grows: {model:?}");
            let steps = model.steps();
            if steps.is_empty() {
                assert!(!model.unread && !model.request.unseen, "lost: {model:?}");
                assert!(model.armed && model.turn == WAITING, "{model:?}");
            }
            for next in steps.into_iter().chain(model.arrivals()) {
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        assert!(seen.len() > 500, "{} states", seen.len());
    }

    #[test]
    fn turn_state_that_has_ended_stays_so() {
        let state = TurnState::default();
        assert!(state.begin(false));
        state.end();
        assert!(!state.schedule() && !state.begin(true) && !state.begin(false));
        assert!(state.wait() && !state.is_waiting());
    }
}
