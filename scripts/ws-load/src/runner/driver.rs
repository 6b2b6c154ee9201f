//! The event loop of one thread, over thousands of connections.

use super::{
    connect_schedule::ConnectSchedule,
    dealer::Dealer,
    interval::{DriverReport, Interval},
    reconnects::Reconnects,
    run_queue::RunQueueDelay,
    stage::Stage,
    timer::{TIMER, Timer},
};
use crate::{
    connection::{
        context::{DriverContext, RunState},
        load_connection::LoadConnection,
    },
    error::LoadError,
    net::client_stream::Readiness,
    numbers,
    stats::recorder::{Metric, Recorder},
    workload::{mode::Mode, slot_queue::Ticket},
};
use crossbeam_channel::Sender;
use mio::{Events, Poll, Token, Waker};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Number of events that one poll returns. Few, so that messages that become due meanwhile are sent in time.
const EVENTS: usize = 64;
/// After this many events, messages that have become due are sent.
const EVENTS_BETWEEN_RELEASES: usize = 8;
/// Number of messages that are released before the sockets are polled again.
pub(super) const RELEASES: usize = 256;
/// Number of connections that are offered a message without connection before the sockets are polled again.
const OFFERS: usize = 64;
/// Number of lost connections that are opened again before the sockets are polled again.
const REOPENINGS: usize = 32;
/// Time between two checks of the deadlines.
const TICK: Duration = Duration::from_millis(100);
/// Time between two measurements of how late the loop is.
const PROBE: Duration = Duration::from_millis(10);
/// Length of an interval whose figures go to the coordinator.
const INTERVAL: Duration = Duration::from_secs(1);
/// The token of the waker.
const WAKE: Token = Token(usize::MAX);

/// One thread's part of the run.
pub(crate) struct Driver {
    thread: usize,
    poll: Poll,
    timer: Timer,
    pub(super) connections: Vec<LoadConnection>,
    pub(super) connect_schedule: ConnectSchedule,
    pub(super) ctx: DriverContext,
    pub(super) stage: Stage,
    pub(super) stage_since: Instant,
    pub(super) reconnects: Reconnects,
    pub(super) dealer: Dealer,
    /// Number of messages that the schedule has in this thread.
    pub(super) lane_end: u64,
    pub(super) next_tick: Instant,
    /// When the lateness of the loop is measured next.
    next_probe: Instant,
    pub(super) interval_start: Instant,
    next_interval: Instant,
    busy: Duration,
    run_queue: RunQueueDelay,
    pub(super) reports: Sender<DriverReport>,
}

impl Driver {
    /// Creates thread number `index` of the plan, with every `threads`-th connection.
    pub(crate) fn new(
        run: Arc<RunState>,
        index: u32,
        reports: Sender<DriverReport>,
    ) -> Result<Self, LoadError> {
        let poll = Poll::new().map_err(LoadError::system("poll sockets"))?;
        let timer = Timer::new(&poll).map_err(LoadError::system("set a timer"))?;
        let now = Instant::now();
        let plan = &run.plan;
        let ids = (index..plan.connections).step_by(usize::try_from(plan.threads).unwrap_or(1));
        let connections: Vec<_> =
            ids.enumerate().map(|(slot, id)| LoadConnection::new(id, Token(slot), now)).collect();
        let connect_schedule = ConnectSchedule::new(plan, index, connections.len(), run.epoch);
        let dealer = Dealer::new(index, connections.len());
        let quota = match (plan.messages, plan.mode) {
            (None, _) | (_, Mode::Rate(_)) => u64::MAX,
            (Some(all), _) => {
                let threads = u64::from(plan.threads);
                all / threads + u64::from(u64::from(index) < all % threads)
            }
        };
        let interval_start = run.epoch;
        Ok(Self {
            thread: numbers::u64_to_usize(u64::from(index)),
            poll,
            timer,
            connections,
            connect_schedule,
            ctx: DriverContext::new(run, index, quota),
            stage: Stage::Opening,
            stage_since: now,
            reconnects: Reconnects::default(),
            dealer,
            lane_end: 0,
            next_tick: now,
            next_probe: now,
            interval_start,
            next_interval: interval_start + INTERVAL,
            busy: Duration::ZERO,
            run_queue: RunQueueDelay::default(),
            reports,
        })
    }

    /// Creates the waker with which another thread ends a poll of this one.
    pub(crate) fn waker(&self) -> Result<Waker, LoadError> {
        Waker::new(self.poll.registry(), WAKE).map_err(LoadError::system("make a waker"))
    }

    /// Runs all stages. The last message to the coordinator is [`DriverReport::Done`].
    pub(crate) fn run(mut self) {
        // The first reading: this thread has just started.
        self.run_queue.take();
        let result = self.run_loop();
        self.hand_over(Instant::now());
        // The coordinator has ended if the channel is closed: the run has failed.
        let _ = self.reports.send(DriverReport::Done(result));
    }

    fn run_loop(&mut self) -> Result<(), LoadError> {
        let mut events = Events::with_capacity(EVENTS);
        let mut woke = Instant::now();
        while !self.is_over() {
            woke = self.turn(&mut events, woke)?;
        }
        Ok(())
    }

    /// Does what is due, waits, and handles what has happened. `woke` is when the last wait ended; returns
    /// when this one did.
    pub(super) fn turn(&mut self, events: &mut Events, woke: Instant) -> Result<Instant, LoadError> {
        self.open_due(woke);
        self.resume_due(woke);
        self.release_due();
        self.take_last();
        let now = Instant::now();
        if now >= self.next_probe {
            self.probe(now);
        }
        if now >= self.next_tick || self.next_transition().is_some_and(|moment| now >= moment) {
            self.tick(now);
        }
        let until = if self.ctx.unfinished.is_empty() { self.next_wake() } else { now };
        let slept = Instant::now();
        self.busy += slept.saturating_duration_since(woke);
        self.timer.wait(&mut self.poll, events, until).map_err(LoadError::system("poll sockets"))?;
        let woke = Instant::now();
        self.handle_events(events);
        self.continue_unfinished();
        Ok(woke)
    }

    /// Records how late the loop is. Replies wait as long for this program.
    fn probe(&mut self, now: Instant) {
        if self.stage == Stage::Running && self.ctx.is_measured(now) {
            let late = now.saturating_duration_since(self.next_probe);
            self.ctx.recorder.record(Metric::LoopLateness, late);
        }
        self.next_probe = now + PROBE;
    }

    fn is_over(&self) -> bool {
        self.stage == Stage::Closing && self.connections.iter().all(LoadConnection::is_done)
    }

    /// Opens the connections that are due.
    fn open_due(&mut self, now: Instant) {
        for _ in 0..REOPENINGS {
            let Some((slot, due)) = self.reconnects.pop_due(now) else { break };
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.open(self.poll.registry(), &mut self.ctx, due, now);
            }
        }
        while let Some((slot, due)) = self.connect_schedule.pop_due(now) {
            if let Some(connection) = self.connections.get_mut(slot) {
                if self.ctx.plan().mode == Mode::Churn && !self.ctx.spend_quota(now) {
                    self.connect_schedule.stop();
                    return;
                }
                connection.open(self.poll.registry(), &mut self.ctx, due, now);
            }
        }
    }

    /// Continues the opening of connections that wait for a deadline.
    fn resume_due(&mut self, now: Instant) {
        while let Some(Token(slot)) = self.ctx.pop_resumption(now) {
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.resume(self.poll.registry(), &mut self.ctx, now);
            }
        }
    }

    /// Continues connections that had more to read or to send than one turn allows.
    fn continue_unfinished(&mut self) {
        for Token(slot) in std::mem::take(&mut self.ctx.unfinished) {
            self.on_readiness(slot, Readiness::NONE);
        }
    }

    /// Notes whether a connection is open, and queues it if it was lost and has to be opened again.
    fn settle(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        self.dealer.note(slot, connection.is_open());
        if self.ctx.is_reconnecting()
            && let Some(failures) = connection.take_retry()
        {
            let now = Instant::now();
            let elapsed = numbers::nanos(now.saturating_duration_since(self.ctx.run.epoch));
            self.reconnects.push(slot, failures, now, elapsed ^ u64::from(connection.id()) << 40);
        }
    }

    /// With `--churn`, puts a connection that has ended back into the queue.
    fn requeue(&mut self, slot: usize) {
        let more = self.ctx.plan().mode == Mode::Churn && self.ctx.quota > 0 && self.stage < Stage::Draining;
        if more && self.connections.get_mut(slot).is_some_and(LoadConnection::requeue) {
            self.connect_schedule.push(slot);
        }
    }

    /// Deals the messages that are due to the open connections, which send them when the depth allows.
    pub(super) fn release_due(&mut self) {
        if self.ctx.schedule.is_none() || !self.ctx.sending {
            return;
        }
        let now = Instant::now();
        for _ in 0..RELEASES {
            if self.next_due().is_none_or(|due| due > now) {
                break;
            }
            let Some(slot) = self.sender_in_room().or_else(|| self.dealer.next_turn()) else {
                self.unassign_due(now);
                break;
            };
            let ticket = self.dealer.take(1);
            self.send_on(slot, Some(ticket));
        }
        for _ in 0..self.dealer.open_count().min(OFFERS) {
            if self.ctx.run.unassigned.is_empty() {
                return;
            }
            if let Some(slot) = self.dealer.next_turn() {
                self.send_on(slot, None);
            }
        }
    }

    /// Returns the connection that sends the next message in a room, which its number decides. `None` without
    /// `--fan-out`.
    fn sender_in_room(&self) -> Option<usize> {
        self.ctx.run.room.as_ref()?;
        let senders = self.ctx.schedule.as_ref()?.lane_connections(self.dealer.lane());
        self.dealer.peek().index.checked_rem(senders).map(numbers::u64_to_usize)
    }

    /// Sends on a connection, after appending a message to those that wait on it.
    pub(super) fn send_on(&mut self, slot: usize, ticket: Option<Ticket>) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        // In a room no other connection sends a message of one that was lost.
        if let Some(ticket) = ticket.filter(|_| self.ctx.run.room.is_none() || connection.is_open()) {
            connection.queue.push(ticket);
        }
        connection.send_due(&mut self.ctx);
        self.settle(slot);
    }

    /// Leaves the messages that are due to the other threads, because no connection of this one is open.
    fn unassign_due(&mut self, now: Instant) {
        let Some(schedule) = &self.ctx.schedule else { return };
        let due = schedule.lane_len(self.dealer.lane(), schedule.slots_before(now)).min(self.lane_end);
        let count = self.dealer.left(due);
        let first = self.dealer.take(count);
        self.ctx.run.unassigned.add_range(first, count);
        if self.ctx.run.service.is_available() {
            self.ctx.run.wake();
        }
    }

    /// Returns when the next message of this thread's part of the schedule is due.
    pub(super) fn next_due(&mut self) -> Option<Instant> {
        let schedule = self.ctx.schedule.as_ref().filter(|_| self.ctx.sending)?;
        (self.dealer.left(self.lane_end) > 0).then(|| self.dealer.next_due(|ticket| schedule.due(ticket)))
    }

    fn next_wake(&mut self) -> Instant {
        // If no connection of the run is open, messages wait for one, and a tick is soon enough.
        let due = self.next_due();
        let due = due.filter(|_| self.dealer.has_open() || self.ctx.run.service.is_available());
        let opening =
            [self.connect_schedule.next_due(), self.ctx.next_resumption(), self.reconnects.next_due()];
        let probe = (self.stage == Stage::Running).then_some(self.next_probe);
        let moments = [due, opening[0], opening[1], opening[2], self.next_transition(), probe];
        moments.into_iter().flatten().fold(self.next_tick, Instant::min)
    }

    fn handle_events(&mut self, events: &Events) {
        for (index, event) in events.iter().enumerate() {
            match event.token() {
                TIMER => {}
                WAKE => self.on_wake(),
                Token(slot) => self.on_readiness(slot, Readiness::from_event(event)),
            }
            if index % EVENTS_BETWEEN_RELEASES == EVENTS_BETWEEN_RELEASES - 1 {
                self.release_due();
            }
        }
    }

    /// Reads the state of the run if the timeline was set or the run ends. Otherwise there are messages
    /// without a connection, which the loop takes.
    fn on_wake(&mut self) {
        if self.stage == Stage::Opening || self.ctx.run.is_stopping() {
            self.next_tick = Instant::now();
        }
    }

    fn on_readiness(&mut self, slot: usize, readiness: Readiness) {
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.on_ready(self.poll.registry(), &mut self.ctx, readiness);
            // A connection that failed is queued at the next tick: without a pause, a server that is down
            // would be flooded with connects.
            if !connection.has_failed() {
                self.requeue(slot);
            }
            self.settle(slot);
        }
    }

    /// Checks deadlines, changes the stage, and sends the figures to the coordinator.
    fn tick(&mut self, now: Instant) {
        self.next_tick = now + TICK;
        self.ctx.advance_sent_history(now);
        for slot in 0..self.connections.len() {
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.check_deadlines(&mut self.ctx, now);
            }
            self.settle(slot);
            self.requeue(slot);
        }
        self.advance(now);
        if now >= self.next_interval {
            self.next_interval += INTERVAL;
            // If the coordinator is behind, the figures stay here and go with the next interval.
            if !self.reports.is_full() {
                self.hand_over(now);
            }
        }
    }

    fn take_interval(&mut self, now: Instant) -> Box<Interval> {
        let epoch = self.ctx.run.epoch;
        let interval = Interval {
            thread: self.thread,
            start: self.interval_start.saturating_duration_since(epoch),
            end: now.saturating_duration_since(epoch),
            measured: self.stage == Stage::Running && self.ctx.is_measured(self.interval_start),
            recorder: std::mem::replace(&mut self.ctx.recorder, Recorder::new()),
            open: self.ctx.open,
            in_flight: self.ctx.in_flight,
            busy: std::mem::take(&mut self.busy),
            waited: self.run_queue.take(),
            last_opened: self.ctx.last_opened,
            last_sent: self.ctx.last_sent,
            died: self.ctx.died,
            last_reply: self.ctx.last_reply,
            first_latencies: std::mem::take(&mut self.ctx.first_latencies),
        };
        self.interval_start = now;
        Box::new(interval)
    }

    /// Sends the figures since the last interval to the coordinator. Blocks while the channel is full.
    pub(super) fn hand_over(&mut self, now: Instant) {
        let interval = self.take_interval(now);
        let _ = self.reports.send(DriverReport::Interval(interval));
    }
}
