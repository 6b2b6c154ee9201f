//! What the connections of one thread share with it and with the run.

use super::{
    plan::{Mode, Plan},
    schedule::{Schedule, Timeline},
    stats::{Count, Metric, Recorder},
};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tungstenite::protocol::WebSocketConfig;

/// Small enough for ten thousand connections; the least that tungstenite should read at once.
const MIN_READ_BUFFER: usize = 4 << 10;
/// The most. Large messages are read ahead in bulk, and a small piece of them is copied without `rep movsb`.
const MAX_READ_BUFFER: usize = 8 << 10;
/// Messages gather up to this before they are written; past it the socket's answer decides.
pub(super) const WRITE_BUFFER: usize = 64 << 10;
/// What tungstenite may hold back: its own Pongs and Closes, each handed on at once.
const CONTROL_BUFFER: usize = 4 << 10;
/// What a message from the server may have beyond the longest that was sent, before it is too long to be looked at.
const SLACK: usize = 1 << 20;

/// What all threads of a run share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Plan,
    /// Moment zero of the intervals.
    pub(super) epoch: Instant,
    /// Set once, when every connection is open or has failed.
    pub(super) timeline: OnceLock<Timeline>,
    stop: AtomicBool,
}

impl Shared {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, epoch: Instant::now(), timeline: OnceLock::new(), stop: AtomicBool::new(false) }
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// What the connections of one thread share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    pub(super) recorder: Recorder,
    /// The longest message that is looked at.
    pub(super) max_reply: usize,
    pub(super) websocket: WebSocketConfig,
    pub(super) timeline: Option<Timeline>,
    /// New messages may be sent: the load has begun and has not ended.
    pub(super) sending: bool,
    /// How many more messages this thread may send.
    pub(super) quota: u64,
    /// Connections that are open now.
    pub(super) open: u32,
    /// Messages that await their reply now.
    pub(super) in_flight: u64,
    /// When a connection was last opened.
    pub(super) last_opened: Option<Instant>,
    /// When the last measured reply came.
    pub(super) last_reply: Option<Instant>,
    /// Which of the host's addresses answered last.
    pub(super) address: usize,
}

impl Context {
    pub(super) fn new(shared: Arc<Shared>, quota: u64) -> Self {
        let plan = &shared.plan;
        let longest = plan.payloads.max_len() + plan.expect_prefix.len();
        let buffer = longest.saturating_mul(plan.depth).next_power_of_two();
        let max = longest + SLACK;
        let websocket = WebSocketConfig::default()
            .read_buffer_size(buffer.clamp(MIN_READ_BUFFER, MAX_READ_BUFFER))
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BUFFER)
            .max_message_size(Some(max))
            .max_frame_size(Some(max));
        Self {
            max_reply: max,
            websocket,
            recorder: Recorder::new(),
            timeline: None,
            sending: false,
            quota,
            open: 0,
            in_flight: 0,
            last_opened: None,
            last_reply: None,
            address: 0,
            shared,
        }
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    /// The schedule, once the load has begun and if it has a rate.
    pub(super) fn schedule(&self) -> Option<Schedule> {
        match (self.timeline, self.plan().mode) {
            (Some(timeline), Mode::Rate(rate)) => {
                Some(Schedule::new(timeline.start, rate, self.plan().connections))
            }
            _ => None,
        }
    }

    /// Whether what happens at `at` belongs to the figures.
    pub(super) fn is_measured(&self, at: Instant) -> bool {
        self.timeline.is_some_and(|timeline| timeline.is_measured(at))
    }

    /// Takes one message, or one cycle, from what this thread may still do. False if nothing is left.
    pub(super) fn spend_quota(&mut self, now: Instant) -> bool {
        // The warm-up is free.
        let measured = self.timeline.is_some_and(|timeline| now >= timeline.measure);
        if self.quota > 0 && (measured || self.plan().warmup.is_zero()) {
            self.quota -= 1;
            return true;
        }
        self.quota > 0
    }

    /// Enters how long a step of opening a connection took. Only a storm opens outside its measured time.
    pub(super) fn opening(&mut self, metric: Metric, took: Duration, now: Instant) {
        if self.plan().mode != Mode::Churn || self.is_measured(now) {
            self.recorder.record(metric, took);
        }
    }

    /// Notes that `messages` never had a reply.
    pub(super) fn missing(&mut self, messages: u64) {
        self.recorder.counters.add(Count::Missing, messages);
    }
}
