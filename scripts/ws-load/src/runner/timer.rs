//! Waits until a socket is ready or a deadline has passed.

use mio::{Events, Poll};
use std::{
    io,
    time::{Duration, Instant},
};

/// Ends a poll at a given deadline. On Linux with a timerfd: the time-out of a poll has a resolution of one
/// millisecond, so a constant rate would send up to a millisecond late, and count that as latency.
#[derive(Debug)]
pub(crate) struct Timer {
    #[cfg(target_os = "linux")]
    timer: std::os::fd::OwnedFd,
    armed: Option<Instant>,
}

/// The token of the timer's events.
pub(crate) const TIMER: mio::Token = mio::Token(usize::MAX - 1);

#[cfg(target_os = "linux")]
impl Timer {
    /// Creates a timer and registers it under [`TIMER`].
    pub(crate) fn new(poll: &Poll) -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        use std::os::fd::AsRawFd;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let mut source = mio::unix::SourceFd(&timer.as_raw_fd());
        poll.registry().register(&mut source, TIMER, mio::Interest::READABLE)?;
        Ok(Self { timer, armed: None })
    }

    /// Blocks until a socket is ready, a waker wakes the poll, or `until` has come.
    pub(crate) fn wait(&mut self, poll: &mut Poll, events: &mut Events, until: Instant) -> io::Result<()> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return poll_once(poll, events, Some(Duration::ZERO));
        }
        if self.armed != Some(until) {
            self.arm(left)?;
            self.armed = Some(until);
        }
        poll_once(poll, events, None)
    }

    /// Sets the timer. This also clears its last expiry, which therefore need not be read.
    fn arm(&self, left: Duration) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec::try_from(left).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let spec = Itimerspec { it_interval: zero, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
impl Timer {
    /// Creates a timer.
    pub(crate) fn new(_poll: &Poll) -> io::Result<Self> {
        Ok(Self { armed: None })
    }

    /// Blocks until a socket is ready, a waker wakes the poll, or `until` has come, to the millisecond.
    pub(crate) fn wait(&mut self, poll: &mut Poll, events: &mut Events, until: Instant) -> io::Result<()> {
        self.armed = Some(until);
        poll_once(poll, events, Some(until.saturating_duration_since(Instant::now())))
    }
}

/// Polls once. A signal counts as a poll without events.
fn poll_once(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        result => result,
    }
}
