//! What the connections of one thread share with the thread and with the run.

use super::{
    room::{Room, SentHistory},
    service_clock::ServiceClock,
    unassigned::Unassigned,
};
use crate::{
    numbers,
    stats::recorder::{Metric, Recorder},
    workload::{
        mode::Mode,
        plan::Plan,
        send_schedule::{SendSchedule, Timeline},
        slot_queue::SlotQueue,
    },
};
use mio::{Token, Waker};
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tungstenite::protocol::WebSocketConfig;

/// Smallest read buffer of a connection, in bytes: 10,000 connections take 40 MiB.
const MIN_READ_BUFFER: usize = 4 << 10;
/// Largest read buffer of a connection, in bytes. The read-ahead receives large messages in larger pieces,
/// and pieces of this size are copied without `rep movsb`.
const MAX_READ_BUFFER: usize = 8 << 10;
/// Bytes that tungstenite may hold back: its Pongs and Closes.
const CONTROL_BUFFER: usize = 4 << 10;
/// Number of latencies of first messages that a thread keeps. The first ones of a run met an idle server.
const MAX_FIRST_LATENCIES: usize = 64;
/// A message from the server may be this many bytes longer than the longest one that is sent. Longer ones end
/// the connection.
const REPLY_MARGIN: usize = 1 << 20;
/// Longest message that is accepted with `--one-way receive`, in bytes.
const MAX_RECEIVED: usize = 256 << 20;

/// What all threads of a run share.
#[derive(Debug)]
pub(crate) struct RunState {
    pub(crate) plan: Plan,
    /// When the run began. Intervals count from here.
    pub(crate) epoch: Instant,
    /// Set once, when every connection is open or has failed.
    pub(crate) timeline: OnceLock<Timeline>,
    stop: AtomicBool,
    /// Number of connections that have not ended. With `--churn` it stays the same.
    live: AtomicU32,
    /// Number of threads that have dealt or left the last of their messages.
    ended_lanes: AtomicU32,
    /// Messages that are due and have no connection.
    pub(crate) unassigned: Unassigned,
    pub(crate) service: ServiceClock,
    /// With `--fan-out`.
    pub(crate) room: Option<Room>,
    /// A waker for each thread. Set once, before the threads start.
    pub(crate) wakers: OnceLock<Vec<Waker>>,
}

impl RunState {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            live: AtomicU32::new(plan.connections),
            ended_lanes: AtomicU32::new(0),
            unassigned: Unassigned::new(plan.threads),
            service: ServiceClock::default(),
            room: plan.fan_out.map(Room::new),
            wakers: OnceLock::new(),
            plan,
            epoch: Instant::now(),
            timeline: OnceLock::new(),
            stop: AtomicBool::new(false),
        }
    }

    /// Requests an early end. The threads have to be woken besides.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Wakes every thread, so that it reads the state of the run.
    pub(crate) fn wake(&self) {
        for waker in self.wakers.get().into_iter().flatten() {
            // A thread that cannot be woken reads the state at its next tick.
            let _ = waker.wake();
        }
    }

    /// Returns the schedule of a run with a rate.
    pub(crate) fn schedule(&self, timeline: &Timeline) -> Option<SendSchedule> {
        let plan = &self.plan;
        match plan.mode {
            Mode::Rate(_) => {
                Some(SendSchedule::new(timeline.start, &plan.pace, plan.senders(), plan.threads))
            }
            Mode::Closed | Mode::Churn | Mode::Hold | Mode::Send | Mode::Receive => None,
        }
    }

    /// Returns the number of messages that the schedule has in all threads.
    pub(crate) fn slots(&self, timeline: &Timeline) -> u64 {
        self.schedule(timeline).map_or(0, |schedule| {
            let until = timeline.end.map_or(u64::MAX, |end| schedule.slots_before(end));
            let warm_up = schedule.slots_before(timeline.measure);
            self.plan.messages.map_or(until, |more| until.min(warm_up.saturating_add(more)))
        })
    }

    /// Returns how many messages each sender of the room has sent. `None` without `--fan-out`.
    pub(crate) fn sent_in_room(&self) -> Option<Vec<u64>> {
        self.room.as_ref().map(|room| room.sent().collect())
    }

    /// Returns whether every connection of all threads has ended and none will be opened again.
    pub(crate) fn has_no_connection_left(&self) -> bool {
        self.live.load(Ordering::Relaxed) == 0
    }

    /// Notes that a thread leaves no more messages to the others. Wakes all threads if it is the last one.
    pub(crate) fn end_lane(&self) {
        // The messages that it has left are seen by a thread that sees the number.
        if self.ended_lanes.fetch_add(1, Ordering::AcqRel) + 1 >= self.plan.threads {
            self.wake();
        }
    }

    /// Returns whether all threads have ended their lanes.
    pub(crate) fn have_lanes_ended(&self) -> bool {
        self.ended_lanes.load(Ordering::Acquire) >= self.plan.threads
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// What the connections of one thread share.
#[derive(Debug)]
pub(crate) struct DriverContext {
    pub(crate) run: Arc<RunState>,
    pub(crate) recorder: Recorder,
    /// Longest message that is accepted, in bytes, after inflating.
    pub(crate) max_reply: usize,
    pub(crate) websocket: WebSocketConfig,
    pub(crate) timeline: Option<Timeline>,
    /// The schedule. `None` before the load begins, and without a rate.
    pub(crate) schedule: Option<SendSchedule>,
    /// The number of the thread.
    thread: u32,
    /// The load has not ended. Lost connections may be opened again.
    pub(crate) loading: bool,
    /// New messages may be sent: the load has begun and has not ended.
    pub(crate) sending: bool,
    /// The load has ended, but threads that see its end later may leave messages that were due before it.
    pub(crate) taking_last: bool,
    /// Number of messages, or of churn cycles, that this thread may still start.
    pub(crate) quota: u64,
    /// Number of connections that are open now.
    pub(crate) open: u32,
    /// Number of messages that are in flight now.
    pub(crate) in_flight: u64,
    sent_history: SentHistory,
    /// How many messages each sender of a room had sent before the reply time-out.
    pub(crate) sent_before_timeout: Option<Arc<[u64]>>,
    /// Connections that continue without a readiness event.
    pub(crate) unfinished: Vec<Token>,
    /// When a connection was last opened.
    pub(crate) last_opened: Option<Instant>,
    /// When the last message was sent.
    pub(crate) last_sent: Option<Instant>,
    /// When the last measured reply was read.
    pub(crate) last_reply: Option<Instant>,
    /// When no connection of the run was left, if that ended the load.
    pub(crate) died: Option<Instant>,
    /// Latencies of the first message on each connection, which had nothing ahead of it. At most
    /// [`MAX_FIRST_LATENCIES`] of them.
    pub(crate) first_latencies: Vec<Duration>,
    /// Index of the host's address that worked last. Connections try it first.
    pub(crate) address: usize,
    /// Number of connects, which use the local addresses of `--source` in turn.
    pub(crate) connects: usize,
    /// When connections that are opening are resumed without a readiness event, earliest first.
    resumptions: BinaryHeap<Reverse<(Instant, Token)>>,
}

impl DriverContext {
    /// Creates the context of a thread that may start `quota` messages or cycles.
    pub(crate) fn new(run: Arc<RunState>, thread: u32, quota: u64) -> Self {
        let plan = &run.plan;
        let longest = plan.payloads.max_len() + plan.expect_prefix.len();
        let buffer = longest.saturating_mul(plan.depth).next_power_of_two();
        let max_reply = match plan.mode {
            Mode::Receive => MAX_RECEIVED,
            _ => longest + REPLY_MARGIN,
        };
        let websocket = WebSocketConfig::default()
            .read_buffer_size(buffer.clamp(MIN_READ_BUFFER, MAX_READ_BUFFER))
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BUFFER)
            .max_message_size(Some(max_reply))
            .max_frame_size(Some(max_reply));
        Self {
            max_reply,
            websocket,
            recorder: Recorder::new(),
            timeline: None,
            schedule: None,
            thread,
            loading: true,
            sending: false,
            taking_last: false,
            quota,
            open: 0,
            in_flight: 0,
            sent_history: SentHistory::default(),
            sent_before_timeout: None,
            unfinished: Vec::new(),
            last_opened: None,
            last_sent: None,
            died: None,
            last_reply: None,
            first_latencies: Vec::new(),
            address: 0,
            connects: 0,
            resumptions: BinaryHeap::new(),
            run,
        }
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.run.plan
    }

    /// Requests that the opening of the connection with `token` is resumed at `at`. It ignores requests that
    /// it no longer needs.
    pub(crate) fn resume_at(&mut self, at: Instant, token: Token) {
        self.resumptions.push(Reverse((at, token)));
    }

    /// Returns the next connection to resume if it is due. It may be open meanwhile, or have ended.
    pub(crate) fn pop_resumption(&mut self, now: Instant) -> Option<Token> {
        self.next_resumption().filter(|at| *at <= now)?;
        self.resumptions.pop().map(|Reverse((_, token))| token)
    }

    /// Returns when the next connection is resumed.
    pub(crate) fn next_resumption(&self) -> Option<Instant> {
        self.resumptions.peek().map(|Reverse((at, _))| *at)
    }

    /// Returns whether a connection that was lost now will be opened again.
    pub(crate) fn is_reconnecting(&self) -> bool {
        self.loading && self.plan().reconnect
    }

    /// Returns whether a message that crosses the Close of a server that stops is sent again. In a room no
    /// other connection sends it.
    pub(crate) fn is_resending(&self) -> bool {
        self.loading && self.plan().resend && !self.plan().expect.is_none() && self.run.room.is_none()
    }

    /// Gives the messages that waited on a lost connection to the connections that are open.
    pub(crate) fn unassign(&self, queue: &mut SlotQueue) {
        if self.run.room.is_some() {
            // The number of a message decides which connection sends it: these are not sent.
            *queue = SlotQueue::default();
        } else if self.sending && queue.len() > 0 {
            self.run.unassigned.add(self.thread, queue);
            self.run.wake();
        }
    }

    /// Moves messages without a connection to `queue`, as many as there is `room` for. Returns whether there
    /// were any.
    pub(crate) fn take_unassigned(&self, queue: &mut SlotQueue, room: usize) -> bool {
        if room == 0 || queue.len() > 0 || self.run.unassigned.is_empty() {
            return false;
        }
        self.run.unassigned.take(queue, numbers::usize_to_u64(room));
        queue.len() > 0
    }

    /// Reads the timeline if it was set, before the thread starts the load: other threads may have done so.
    pub(crate) fn read_timeline(&mut self) {
        if self.timeline.is_none()
            && let Some(timeline) = self.run.timeline.get()
        {
            self.timeline = Some(*timeline);
            self.schedule = self.run.schedule(timeline);
        }
    }

    /// Returns when a message in a room should have been sent.
    pub(crate) fn due_in_room(&self, sender: u32, sequence: u64) -> Option<Instant> {
        let slot = self.plan().fan_out?.slot(sender, sequence);
        self.schedule.as_ref().map(|schedule| schedule.due_slot(slot))
    }

    /// Notes how many messages the senders of a room have sent until `now`.
    pub(crate) fn advance_sent_history(&mut self, now: Instant) {
        if let Some(room) = &self.run.room {
            self.sent_before_timeout = self.sent_history.advance(room, now, self.run.plan.timeout);
        }
    }

    /// Returns whether `moment` lies in the measured time.
    pub(crate) fn is_measured(&self, moment: Instant) -> bool {
        self.timeline.is_some_and(|timeline| timeline.is_measured(moment))
    }

    /// Subtracts one message or cycle from the quota, except during the warm-up. Returns false if the quota
    /// was 0.
    pub(crate) fn spend_quota(&mut self, now: Instant) -> bool {
        let measured = self.timeline.is_some_and(|timeline| now >= timeline.measure);
        if self.quota > 0 && (measured || self.plan().warmup.is_zero()) {
            self.quota -= 1;
            return true;
        }
        self.quota > 0
    }

    /// Notes that a connection has ended. It must not be opened again, except with `--churn`.
    pub(crate) fn on_connection_ended(&self) {
        if self.plan().mode != Mode::Churn {
            self.run.live.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Keeps the latency of the first message on a connection, while there is room.
    pub(crate) fn note_first_latency(&mut self, latency: Duration) {
        if self.first_latencies.len() < MAX_FIRST_LATENCIES {
            self.first_latencies.push(latency);
        }
    }

    /// Records how long a step of opening took. With `--churn` only in the measured time: all other modes
    /// open their connections before it.
    pub(crate) fn record_opening(&mut self, metric: Metric, took: Duration, now: Instant) {
        if self.plan().mode != Mode::Churn || self.is_measured(now) {
            self.recorder.record(metric, took);
        }
    }
}
