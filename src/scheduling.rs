//! The scheduling policy of a thread: whether it preempts who runs when it is woken (sched(7)).
//!
//! The kernel lets a thread that is woken go first. Where clients share the processors with the server, that takes the
//! processor from the client who has just sent something, while it is about to send more: each wake-up becomes two
//! switches. Under `SCHED_BATCH` a thread that is woken waits for its turn, and its share of the time is the same. With
//! eight connections of 64 KiB messages that is a tenth more of them; ten thousand clients who connect at once are
//! through in 35 ms instead of 55 (all but one in a hundred).
//!
//! The price is paid beside a program that computes, whose turn takes some milliseconds. So the accept loop is under
//! it, and so is a worker who waits for a connection; in a session it depends on what its reads meet (`patience`).

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
    /// What the calling thread is under.
    static CURRENT: Cell<Policy> = const { Cell::new(Policy::Normal) };
}

impl Policy {
    /// Puts the calling thread under this policy, unless whoever started the server has chosen another one. A system
    /// that does not allow it leaves the thread as it is.
    pub(crate) fn apply(self) {
        if CURRENT.replace(self) != self {
            system::apply(self);
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::sync::LazyLock;

    use log::debug;
    use preempt_rt::sched::{Pid, Scheduler, SchedulerParams, get_scheduler, set_scheduler};

    use super::Policy;

    /// Whether nobody chose a policy before the first of our threads did.
    static OURS: LazyLock<bool> =
        LazyLock::new(|| matches!(get_scheduler(Pid::current_thread()), Ok(Scheduler::SCHED_NORMAL)));

    /// Asks the kernel.
    pub(super) fn apply(policy: Policy) {
        let scheduler = match policy {
            Policy::Normal => Scheduler::SCHED_NORMAL,
            Policy::Batch => Scheduler::SCHED_BATCH,
        };
        if *OURS
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
