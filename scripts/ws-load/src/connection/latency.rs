//! Records how long replies took, and how late messages were sent.

use super::{context::DriverContext, in_flight::Pending};
use crate::stats::{counters::Count, recorder::Metric};
use std::time::{Duration, Instant};

/// A message that leaves later than this after it could have left is counted as `sent_late`: the cause is
/// this program.
const SENT_LATE_AFTER: Duration = Duration::from_millis(1);

/// Records the latencies of a reply that was read at `now`.
pub(super) fn record_latency(ctx: &mut DriverContext, pending: Pending, now: Instant) {
    if ctx.is_measured(pending.due) {
        ctx.recorder.record(Metric::Corrected, now.saturating_duration_since(pending.due));
        ctx.recorder.record(Metric::Raw, now.saturating_duration_since(pending.sent));
        ctx.last_reply = Some(now);
    }
    if ctx.is_measured(now) {
        ctx.recorder.count(Count::InWindow);
    }
}

/// Counts a message without a reply, and records as its latency the time that was waited, at least the reply
/// time-out.
pub(super) fn record_missing(ctx: &mut DriverContext, due: Instant, sent: Instant, now: Instant) {
    ctx.recorder.count(Count::Missing);
    if ctx.is_measured(due) {
        let waited = |since| now.saturating_duration_since(since).max(ctx.plan().timeout);
        let (corrected, raw) = (waited(due), waited(sent));
        ctx.recorder.record(Metric::Corrected, corrected);
        ctx.recorder.record(Metric::Raw, raw);
    }
}

/// Records the latency of a message of a room, from the moment at which its sender should have sent it. If
/// `is_in_time`, the message counts for the rate.
pub(super) fn record_delivery(
    ctx: &mut DriverContext,
    (sender, sequence): (u32, u64),
    is_in_time: bool,
    now: Instant,
) {
    if is_in_time && let Some(due) = ctx.due_in_room(sender, sequence).filter(|due| ctx.is_measured(*due)) {
        ctx.recorder.record(Metric::Corrected, now.saturating_duration_since(due));
        ctx.last_reply = Some(now);
    }
    if ctx.is_measured(now) {
        ctx.recorder.count(Count::InWindow);
    }
}

/// Counts a message of a room that was not delivered, and records as its latency the time that was waited, at
/// least the reply time-out.
pub(super) fn record_lost(ctx: &mut DriverContext, (sender, sequence): (u32, u64), now: Instant) {
    ctx.recorder.count(Count::Missing);
    if let Some(due) = ctx.due_in_room(sender, sequence).filter(|due| ctx.is_measured(*due)) {
        let waited = now.saturating_duration_since(due).max(ctx.plan().timeout);
        ctx.recorder.record(Metric::Corrected, waited);
    }
}

/// Splits the delay of a send at `sendable_since`: before it the server was the cause, after it this program.
pub(super) fn record_lateness(ctx: &mut DriverContext, due: Instant, sendable_since: Instant, now: Instant) {
    let own = now.saturating_duration_since(due.max(sendable_since));
    ctx.recorder.record(Metric::Lateness, own);
    ctx.recorder.count(Count::Scheduled);
    if sendable_since > due {
        ctx.recorder.count(Count::DelayedByServer);
    }
    if own > SENT_LATE_AFTER {
        ctx.recorder.count(Count::SentLate);
    }
}
