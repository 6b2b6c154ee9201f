//! Wake-up times of sessions, and the one kernel timer that expires at the earliest of them
//! (`timerfd_create(2)`).

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::error;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// The wake-up times of all sessions: at most one for each.
#[derive(Debug)]
pub(super) struct WakeTimers {
    timer: OwnedFd,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Times and session numbers, earliest first.
    due: BTreeSet<(Instant, u64)>,
    /// When the kernel timer expires; `None` while it is off.
    armed: Option<Instant>,
}

impl WakeTimers {
    /// Creates the timer, switched off.
    ///
    /// # Errors
    /// The errors of `timerfd_create(2)`.
    pub(super) fn new() -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self { timer, state: Mutex::default() })
    }

    /// Replaces the wake-up time `old` of a session by `new`. `old` must be the time that was set last and
    /// has not passed to [`take_due`](Self::take_due), or `None`.
    pub(super) fn replace(&self, id: u64, old: Option<Instant>, new: Option<Instant>) {
        let mut state = self.lock();
        if let Some(old) = old {
            state.due.remove(&(old, id));
        }
        if let Some(new) = new {
            state.due.insert((new, id));
            if state.armed.is_none_or(|armed| new < armed) {
                self.arm(&mut state);
            }
        }
    }

    /// Removes and returns the sessions whose time has come, and sets the kernel timer for the next one.
    pub(super) fn take_due(&self, now: Instant) -> Vec<u64> {
        let mut state = self.lock();
        let later = state.due.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut state.due, later);
        self.arm(&mut state);
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// Sets the kernel timer to the earliest time, or switches it off.
    fn arm(&self, state: &mut State) {
        state.armed = state.due.first().map(|(time, _)| *time);
        // Zero would switch it off.
        let delay = state
            .armed
            .map(|time| time.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1)));
        let it_value = Timespec::try_from(delay.unwrap_or_default())
            .unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        if let Err(error) = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once) {
            error!("cannot set the timer of the endpoints: {error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for WakeTimers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_timers_return_each_session_once_when_due() {
        let timers = WakeTimers::new().unwrap();
        let start = Instant::now();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        timers.replace(1, None, at(1));
        timers.replace(2, None, at(1));
        timers.replace(3, None, at(3));
        timers.replace(2, at(1), at(5));
        assert!(timers.take_due(start).is_empty());
        assert_eq!(timers.take_due(start + Duration::from_secs(3)), [1, 3]);
        timers.replace(2, at(5), None);
        assert!(timers.take_due(start + Duration::from_hours(1)).is_empty());
        assert!(timers.lock().armed.is_none());
    }
}
