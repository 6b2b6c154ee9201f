//! Waiting for sockets or a moment, whichever is first.

use mio::{Events, Poll};
use std::{
    io,
    time::{Duration, Instant},
};

/// Wakes a poll at a moment finer than the millisecond that its own time-out knows: a constant rate would otherwise send
/// up to a millisecond late, and count that against the server.
#[derive(Debug)]
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: std::os::fd::OwnedFd,
    armed: Option<Instant>,
}

/// The token of the alarm's own events.
pub(super) const ALARM: mio::Token = mio::Token(usize::MAX - 1);

#[cfg(target_os = "linux")]
impl Alarm {
    pub(super) fn new(poll: &Poll) -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        use std::os::fd::AsRawFd;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let mut source = mio::unix::SourceFd(&timer.as_raw_fd());
        poll.registry().register(&mut source, ALARM, mio::Interest::READABLE)?;
        Ok(Self { timer, armed: None })
    }

    /// Polls until something is ready or `until` has come.
    pub(super) fn wait(&mut self, poll: &mut Poll, events: &mut Events, until: Instant) -> io::Result<()> {
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

    /// Setting the timer again also clears its last expiry: it need not be read.
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
impl Alarm {
    pub(super) fn new(_poll: &Poll) -> io::Result<Self> {
        Ok(Self { armed: None })
    }

    /// Polls until something is ready or `until` has come, to the millisecond.
    pub(super) fn wait(&mut self, poll: &mut Poll, events: &mut Events, until: Instant) -> io::Result<()> {
        self.armed = Some(until);
        poll_once(poll, events, Some(until.saturating_duration_since(Instant::now())))
    }
}

/// A poll that a signal interrupts has seen nothing, and that is all.
fn poll_once(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        result => result,
    }
}
