//! Sends messages on an open connection: as many as the depth, the schedule and the socket allow.

use super::{
    context::DriverContext,
    latency::record_lateness,
    open_connection::{OpenConnection, SessionEnd},
};
use crate::{
    connection::failure::Failure,
    net::deflate,
    numbers,
    stats::{counters::Count, recorder::Metric},
    workload::{mode::Mode, slot_queue::SlotQueue},
};
use std::time::{Duration, Instant};

/// Number of messages that are compressed before they are sent together.
const COMPRESSED_BATCH: u64 = 64;
/// Number of messages that a connection sends before others get their turn, where no reply limits it.
const FLOOD_BATCH: u64 = 64;

/// A compressed payload, and how long its compression took.
struct Compressed {
    payload: Vec<u8>,
    took: Duration,
}

impl OpenConnection {
    /// Sends as many messages as the depth, the schedule and the socket allow, in one write where possible.
    /// `queue` holds the messages of the schedule that this connection was dealt.
    pub(crate) fn send(&mut self, ctx: &mut DriverContext, queue: &mut SlotQueue) -> Result<(), SessionEnd> {
        let mut budget = self.send_budget(ctx, queue);
        while budget > 0 && !self.blocked {
            let batch = if self.compress { budget.min(COMPRESSED_BATCH) } else { budget };
            self.send_batch(ctx, queue, batch)?;
            budget -= batch;
        }
        // Without replies nothing but the socket limits the next messages.
        self.unfinished |= ctx.plan().mode == Mode::Send && !self.blocked && ctx.sending && ctx.quota > 0;
        Ok(())
    }

    fn send_batch(
        &mut self,
        ctx: &mut DriverContext,
        queue: &mut SlotQueue,
        batch: u64,
    ) -> Result<(), SessionEnd> {
        let compressed = if self.compress { self.compress_next(ctx, batch)? } else { Vec::new() };
        let mut compressed = compressed.iter();
        let now = Instant::now();
        for left in (0..batch).rev() {
            self.write_next(ctx, queue, now, compressed.next());
            if left > 0 {
                let sent = self.protocol.send_if_full();
                self.set_blocked(sent)?;
                if self.blocked {
                    break;
                }
            }
        }
        self.flush()
    }

    /// Compresses the next messages. Their latencies begin when all of them are compressed.
    fn compress_next(&self, ctx: &DriverContext, batch: u64) -> Result<Vec<Compressed>, SessionEnd> {
        let mut started = Instant::now();
        let next = self.next_sequence();
        (next..next + batch)
            .map(|sequence| {
                let message = ctx.run.plan.payloads.parts(self.connection, sequence).both().concat();
                let payload = deflate::deflate(&message);
                let payload = payload.ok_or_else(|| SessionEnd::Lost(Failure::bad_deflate()))?;
                let ended = Instant::now();
                let took = ended.saturating_duration_since(std::mem::replace(&mut started, ended));
                Ok(Compressed { payload, took })
            })
            .collect()
    }

    /// Returns how many messages may be sent now, apart from the socket.
    fn send_budget(&mut self, ctx: &DriverContext, queue: &mut SlotQueue) -> u64 {
        let plan = ctx.plan();
        let places = plan.depth.saturating_sub(self.in_flight.len());
        let room = numbers::usize_to_u64(places);
        let again = numbers::usize_to_u64(self.resend.len());
        let budget = match plan.mode {
            // The messages of a sender are counted by those who receive them, and their number fixes its own.
            Mode::Rate(_) if ctx.sending && ctx.run.room.is_some() => queue.len(),
            Mode::Rate(_) if ctx.sending => {
                if !self.blocked && ctx.take_unassigned(queue, places) {
                    // They waited because the server closed another connection.
                    self.sendable_since = Instant::now();
                }
                room.min(queue.len().saturating_add(again))
            }
            // Those that waited on this connection at the end of the load stay unsent.
            Mode::Rate(_) if ctx.taking_last && !self.blocked && ctx.take_unassigned(queue, places) => {
                self.sendable_since = Instant::now();
                room.min(queue.len())
            }
            // A cycle that has begun is completed, also after the end of the measured time.
            Mode::Churn => u64::from(self.next_sequence() == self.first_sequence),
            Mode::Closed if ctx.sending => room.min(ctx.quota.saturating_add(again)),
            Mode::Send if ctx.sending => FLOOD_BATCH.min(ctx.quota),
            Mode::Closed | Mode::Rate(_) | Mode::Send | Mode::Receive | Mode::Hold => 0,
        };
        budget.max(room.min(again))
    }

    /// Appends the next message to the send buffer.
    fn write_next(
        &mut self,
        ctx: &mut DriverContext,
        queue: &mut SlotQueue,
        now: Instant,
        compressed: Option<&Compressed>,
    ) {
        let sequence = self.next_sequence();
        if let Some(due) = self.resend.pop_front() {
            ctx.recorder.count(Count::Resent);
            self.in_flight.insert(due, now);
            ctx.in_flight += 1;
            return self.write_payload(ctx, sequence, compressed);
        }
        let due = ctx.schedule.as_ref().zip(queue.pop()).map(|(schedule, ticket)| schedule.due(ticket));
        let due = match due {
            Some(due) => {
                // The time of compression is counted apart.
                let due = compressed.map_or(due, |compressed| due + compressed.took).min(now.max(due));
                if ctx.is_measured(due) {
                    record_lateness(ctx, due, self.sendable_since, now);
                }
                due
            }
            None => now,
        };
        ctx.recorder.count(Count::Sent);
        ctx.last_sent = Some(now);
        if ctx.plan().mode != Mode::Churn {
            ctx.spend_quota(now);
        }
        if let Some(room) = &ctx.run.room {
            room.note_sent(self.connection);
            self.in_flight.next_sequence += 1;
        } else if ctx.plan().expect.is_none() {
            self.in_flight.next_sequence += 1;
            if ctx.is_measured(now) {
                ctx.recorder.count(Count::InWindow);
            }
        } else {
            self.in_flight.insert(due, now);
            ctx.in_flight += 1;
        }
        let length = ctx.run.plan.payloads.parts(self.connection, sequence).len();
        ctx.recorder.counters.add(Count::SentBytes, numbers::usize_to_u64(length));
        self.write_payload(ctx, sequence, compressed);
    }

    /// Appends the message with this sequence number to the send buffer.
    fn write_payload(&mut self, ctx: &mut DriverContext, sequence: u64, compressed: Option<&Compressed>) {
        let payloads = &ctx.run.plan.payloads;
        if let Some(Compressed { payload, took }) = compressed {
            ctx.recorder.record(Metric::Compression, *took);
            self.protocol.write_message(payloads.kind, true, [payload, b""]);
        } else {
            let parts = payloads.parts(self.connection, sequence);
            self.protocol.write_message(payloads.kind, false, parts.both());
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), SessionEnd> {
        let sent = self.protocol.flush();
        self.set_blocked(sent)
    }
}
