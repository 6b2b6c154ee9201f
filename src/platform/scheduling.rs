//! The scheduling policy of a thread: whether it preempts who runs when it is woken (sched(7)).
//!
//! The kernel lets a thread that is woken go first. Where clients share the processors with the server, that takes the
//! processor from the client who has just sent something, while it is about to send more: each wake-up becomes two
//! switches. Under `SCHED_BATCH` a thread that is woken waits for its turn, and its share of the time is the same. With
//! eight connections of 64 KiB messages on two processors that is a tenth more of them, and a storm of ten thousand
//! connections is over sooner.
//!
//! The price is paid beside a program that computes, whose turn takes some milliseconds: one for the accept and one for
//! each of the first few reads, which a new connection can bear. In a session it depends on the size of its messages
//! (`courtesy`).

use std::cell::Cell;

/// Who goes first when a thread is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The thread that is woken.
    Normal,
    /// Who runs, until its turn is over.
    Batch,
}

thread_local! {
    /// What the calling thread has asked for last.
    static ASKED: Cell<Policy> = const { Cell::new(Policy::Normal) };
}

impl Policy {
    /// Puts the calling thread under this policy, unless it was under another one than `Normal` when it first asked. A
    /// system that does not allow it leaves the thread as it is.
    pub(crate) fn apply(self) {
        if ASKED.replace(self) != self {
            system::apply(self);
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use log::debug;
    use preempt_rt::sched::{Pid, Scheduler, SchedulerParams, get_scheduler, set_scheduler};

    use super::Policy;

    thread_local! {
        /// Whether nobody chose a policy for this thread before it did.
        static OURS: bool = matches!(get_scheduler(Pid::current_thread()), Ok(Scheduler::SCHED_NORMAL));
    }

    /// Asks the kernel.
    pub(super) fn apply(policy: Policy) {
        let scheduler = match policy {
            Policy::Normal => Scheduler::SCHED_NORMAL,
            Policy::Batch => Scheduler::SCHED_BATCH,
        };
        if OURS.with(|&ours| ours)
            && let Err(error) =
                set_scheduler(Pid::current_thread(), scheduler, SchedulerParams { priority: 0 })
        {
            debug!("a thread is not scheduled as {policy:?}: {error}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    /// Other systems have no such policy.
    pub(super) fn apply(_: super::Policy) {}
}
