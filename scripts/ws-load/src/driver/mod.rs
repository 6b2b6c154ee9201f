//! The event loop of one thread: thousands of connections by readiness, and the schedule.

mod stage;

use super::{
    alarm::{ALARM, Alarm},
    connection::Connection,
    context::{Context, Shared},
    error::LoadError,
    interval::{Interval, Report},
    numbers,
    opener::Opener,
    plan::Mode,
    stats::Recorder,
    wire::Readiness,
};
use crossbeam_channel::Sender;
use mio::{Events, Poll, Token, Waker};
use stage::Stage;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Events taken at once. Few, so that what falls due meanwhile leaves in time.
const EVENTS: usize = 64;
/// Sends released at once before the sockets are looked at again.
const RELEASES: usize = 256;
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);
/// What a thread hands over at a time.
const INTERVAL: Duration = Duration::from_secs(1);
/// The token that wakes a thread because the run's state has changed.
const WAKE: Token = Token(usize::MAX);

/// One thread's part of the run.
pub(super) struct Driver {
    thread: usize,
    poll: Poll,
    alarm: Alarm,
    connections: Vec<Connection>,
    opener: Opener,
    cx: Context,
    stage: Stage,
    stage_since: Instant,
    /// How many messages the schedule has released in this thread.
    released: u64,
    /// How many messages the schedule has in all threads.
    places: u64,
    next_tick: Instant,
    interval_start: Instant,
    next_interval: Instant,
    busy: Duration,
    reports: Sender<Report>,
}

impl Driver {
    /// Thread `index` of the plan's, with its share of the connections.
    pub(super) fn new(shared: Arc<Shared>, index: u32, reports: Sender<Report>) -> Result<Self, LoadError> {
        let poll = Poll::new().map_err(LoadError::system("poll sockets"))?;
        let alarm = Alarm::new(&poll).map_err(LoadError::system("set an alarm"))?;
        let now = Instant::now();
        let plan = &shared.plan;
        let ids = (index..plan.connections).step_by(usize::try_from(plan.threads).unwrap_or(1));
        let connections: Vec<_> =
            ids.enumerate().map(|(slot, id)| Connection::new(id, Token(slot), now)).collect();
        let opener = Opener::new(plan, index, connections.len(), shared.epoch);
        let quota = match (plan.messages, plan.mode) {
            (None, _) | (_, Mode::Rate(_)) => u64::MAX,
            (Some(all), _) => {
                let threads = u64::from(plan.threads);
                all / threads + u64::from(u64::from(index) < all % threads)
            }
        };
        let interval_start = shared.epoch;
        Ok(Self {
            thread: numbers::narrow(u64::from(index)),
            poll,
            alarm,
            connections,
            opener,
            cx: Context::new(shared, quota),
            stage: Stage::Opening,
            stage_since: now,
            released: 0,
            places: 0,
            next_tick: now,
            interval_start,
            next_interval: interval_start + INTERVAL,
            busy: Duration::ZERO,
            reports,
        })
    }

    /// What wakes this thread from another one.
    pub(super) fn waker(&self) -> Result<Waker, LoadError> {
        Waker::new(self.poll.registry(), WAKE).map_err(LoadError::system("make a waker"))
    }

    /// Runs to the end.
    pub(super) fn run(mut self) {
        let result = self.turn_until_done();
        self.hand_over(Instant::now());
        // The conductor only goes away before us when the whole run has failed.
        let _ = self.reports.send(Report::Done(result));
    }

    fn turn_until_done(&mut self) -> Result<(), LoadError> {
        let mut events = Events::with_capacity(EVENTS);
        let mut woke = Instant::now();
        while !self.is_over() {
            self.open_due(woke);
            self.release_due();
            let now = Instant::now();
            if now >= self.next_tick || self.turning_point().is_some_and(|moment| now >= moment) {
                self.tick(now);
            }
            let until = self.next_wake();
            let slept = Instant::now();
            self.busy += slept.saturating_duration_since(woke);
            self.alarm.wait(&mut self.poll, &mut events, until).map_err(LoadError::system("poll sockets"))?;
            woke = Instant::now();
            self.serve(&events);
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.stage == Stage::Closing && self.connections.iter().all(Connection::is_done)
    }

    /// Opens the connections whose turn has come.
    fn open_due(&mut self, now: Instant) {
        while let Some((slot, due)) = self.opener.next(now) {
            if let Some(connection) = self.connections.get_mut(slot) {
                if self.cx.plan().mode == Mode::Churn && !self.cx.spend_quota(now) {
                    self.opener.stop();
                    return;
                }
                connection.open(self.poll.registry(), &mut self.cx, due, now);
            }
        }
    }

    /// With `--churn`, a connection that is over begins anew.
    fn reopen(&mut self, slot: usize) {
        let more = self.cx.plan().mode == Mode::Churn && self.cx.quota > 0 && self.stage < Stage::Draining;
        if more && self.connections.get_mut(slot).is_some_and(Connection::requeue) {
            self.opener.again(slot);
        }
    }

    /// Releases the messages that are due to their connections, and sends those that can go.
    fn release_due(&mut self) {
        let now = Instant::now();
        for _ in 0..RELEASES {
            let Some((slot, sequence, due)) = self.next_release() else { return };
            let Some(connection) = self.connections.get_mut(slot).filter(|_| due <= now) else { return };
            connection.released = sequence + 1;
            connection.pump(&mut self.cx);
            self.released += 1;
        }
    }

    /// The next message of this thread's part of the schedule: slot, sequence number, and when it is due.
    fn next_release(&self) -> Option<(usize, u64, Instant)> {
        let schedule = self.cx.schedule().filter(|_| self.stage < Stage::Closing)?;
        let slots = numbers::wide(self.connections.len());
        let slot = numbers::narrow(self.released.checked_rem(slots)?);
        let (id, sequence) = (self.connections.get(slot)?.id(), self.released / slots);
        (schedule.place(id, sequence) < self.places).then(|| (slot, sequence, schedule.due(id, sequence)))
    }

    fn next_wake(&self) -> Instant {
        let due = self.next_release().map(|(_, _, due)| due);
        let moments = [due, self.opener.wake(), self.turning_point()];
        moments.into_iter().flatten().fold(self.next_tick, Instant::min)
    }

    /// Serves the sockets that are ready.
    fn serve(&mut self, events: &Events) {
        for (index, event) in events.iter().enumerate() {
            let slot = event.token().0;
            match event.token() {
                ALARM => {}
                WAKE => self.next_tick = Instant::now(),
                _ => {
                    let readiness = Readiness {
                        readable: event.is_readable() || event.is_error(),
                        writable: event.is_writable() || event.is_error(),
                        hangup: event.is_read_closed() || event.is_error(),
                    };
                    if let Some(connection) = self.connections.get_mut(slot) {
                        connection.ready(self.poll.registry(), &mut self.cx, readiness);
                        // One that failed waits for the tick, or a dead server would be hammered.
                        if !connection.has_failed() {
                            self.reopen(slot);
                        }
                    }
                }
            }
            // What fell due meanwhile should not wait for all the others.
            if index % 8 == 7 {
                self.release_due();
            }
        }
    }

    /// Deadlines, the change of stages, and the hand-over of figures.
    fn tick(&mut self, now: Instant) {
        self.next_tick = now + TICK;
        for slot in 0..self.connections.len() {
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.check_deadlines(&mut self.cx, now);
            }
            self.reopen(slot);
        }
        self.advance(now);
        if now >= self.next_interval {
            self.next_interval += INTERVAL;
            self.offer(now);
        }
    }

    fn take_interval(&mut self, now: Instant) -> Box<Interval> {
        let epoch = self.cx.shared.epoch;
        let interval = Interval {
            thread: self.thread,
            start: self.interval_start.saturating_duration_since(epoch),
            end: now.saturating_duration_since(epoch),
            measured: self.stage == Stage::Running && self.cx.is_measured(self.interval_start),
            recorder: std::mem::replace(&mut self.cx.recorder, Recorder::new()),
            open: self.cx.open,
            in_flight: self.cx.in_flight,
            busy: std::mem::take(&mut self.busy),
            last_opened: self.cx.last_opened,
            last_reply: self.cx.last_reply,
        };
        self.interval_start = now;
        Box::new(interval)
    }

    /// Hands the figures over if the conductor is ready for them; else they stay here and go with the next.
    fn offer(&mut self, now: Instant) {
        if !self.reports.is_full() {
            self.hand_over(now);
        }
    }

    fn hand_over(&mut self, now: Instant) {
        let interval = self.take_interval(now);
        let _ = self.reports.send(Report::Interval(interval));
    }
}
