//! Scheduling policy of the calling thread (sched(7)).
//!
//! Under `SCHED_NORMAL` a thread that wakes up preempts the running thread. If clients run on the same
//! processors, it preempts the client that has just sent a message and is about to send more. Under
//! `SCHED_BATCH` it does not preempt and gets the same share of processor time: 10 % more 64 KiB messages on
//! two processors (see scripts/TUNING.md).
//!
//! The cost: beside a CPU-bound process each wake-up waits some milliseconds for the end of that process's
//! time slice. The policy of a session therefore depends on its messages (`transport::sched_policy`).

use std::cell::Cell;

/// Whether a thread that wakes up preempts the running thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// `SCHED_NORMAL`: it preempts.
    Normal,
    /// `SCHED_BATCH`: it does not preempt.
    Batch,
}

thread_local! {
    /// Policy that the calling thread applied last.
    static APPLIED: Cell<Policy> = const { Cell::new(Policy::Normal) };
}

impl Policy {
    /// Applies the policy to the calling thread. No effect if the thread had another policy than
    /// `SCHED_NORMAL` before its first call, if the system does not permit the change, or outside Linux.
    pub(crate) fn apply(self) {
        if APPLIED.replace(self) != self {
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
        /// Whether the thread had the default policy before its first change.
        static INITIALLY_NORMAL: bool = is_normal();
    }

    fn is_normal() -> bool {
        matches!(get_scheduler(Pid::current_thread()), Ok(Scheduler::SCHED_NORMAL))
    }

    /// Sets the policy of the calling thread with `sched_setscheduler(2)`.
    pub(super) fn apply(policy: Policy) {
        let scheduler = match policy {
            Policy::Normal => Scheduler::SCHED_NORMAL,
            Policy::Batch => Scheduler::SCHED_BATCH,
        };
        if INITIALLY_NORMAL.with(|&normal| normal)
            && let Err(error) =
                set_scheduler(Pid::current_thread(), scheduler, SchedulerParams { priority: 0 })
        {
            debug!("cannot set the scheduling policy to {policy:?}: {error}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    /// Has no effect: other systems have no such policy.
    pub(super) fn apply(_: super::Policy) {}
}
