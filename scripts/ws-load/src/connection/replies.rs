//! Classifies each message that arrives on an open connection, and counts it under its class.

use super::{
    context::DriverContext,
    deliveries::Arrival,
    failure::Failure,
    in_flight::{ReplyClass, ReplyRules},
    latency::{record_delivery, record_latency},
    open_connection::{OpenConnection, SessionEnd},
};
use crate::{
    net::{deflate, message_kind::MessageKind},
    numbers,
    stats::counters::Count,
    workload::{mode::Mode, plan::Plan},
};
use tungstenite::Message;

impl OpenConnection {
    pub(super) fn on_message(&mut self, ctx: &mut DriverContext, message: Message) -> Result<(), SessionEnd> {
        match message {
            Message::Text(text) => self.on_data(ctx, text.as_str().as_bytes(), MessageKind::Text),
            Message::Binary(bytes) => self.on_data(ctx, &bytes, MessageKind::Binary),
            Message::Ping(_) => {
                // tungstenite queues the Pong.
                ctx.recorder.count(Count::Pings);
                Ok(())
            }
            Message::Pong(_) | Message::Close(_) | Message::Frame(_) => Ok(()),
        }
    }

    /// Inflates the message if it was compressed, then classifies it.
    fn on_data(
        &mut self,
        ctx: &mut DriverContext,
        reply: &[u8],
        kind: MessageKind,
    ) -> Result<(), SessionEnd> {
        let Some((kind, true)) = self.protocol.stream_mut().pop_message_info() else {
            self.classify(ctx, reply, kind);
            return Ok(());
        };
        if !self.compress {
            return Err(SessionEnd::Lost(Failure::unexpected_extension()));
        }
        let inflated = deflate::inflate(reply, ctx.max_reply)
            .filter(|inflated| kind == MessageKind::Binary || std::str::from_utf8(inflated).is_ok())
            .ok_or_else(|| SessionEnd::Lost(Failure::bad_deflate()))?;
        self.classify(ctx, &inflated, kind);
        Ok(())
    }

    fn classify(&mut self, ctx: &mut DriverContext, message: &[u8], kind: MessageKind) {
        let count = match ctx.plan().mode {
            Mode::Receive => self.on_received(ctx, message),
            _ if self.deliveries.is_some() => self.on_delivery(ctx, message, kind),
            _ => self.on_reply(ctx, message, kind),
        };
        ctx.recorder.count(count);
    }

    /// Classifies a reply, and records its latency.
    fn on_reply(&mut self, ctx: &mut DriverContext, reply: &[u8], kind: MessageKind) -> Count {
        let before = self.in_flight.len();
        let plan = &ctx.run.plan;
        if self.is_reply_to_first(plan, reply) {
            return Count::Ignored;
        }
        let class = if plan.expect.is_echo() {
            let rules = ReplyRules {
                payloads: &plan.payloads,
                connection: self.connection,
                prefix: &plan.expect_prefix,
                ignore_unasked: plan.ignore_unasked,
            };
            self.in_flight.classify(rules, reply, kind)
        } else {
            self.in_flight.take_in_order(plan.expect.accepts(reply))
        };
        let now = self.read_at();
        if before >= plan.depth && self.in_flight.len() < before {
            self.sendable_since = now;
        }
        ctx.in_flight = ctx.in_flight.saturating_sub(numbers::usize_to_u64(before - self.in_flight.len()));
        match class {
            ReplyClass::Valid(pending) => {
                ctx.recorder.counters.add(Count::ReplyBytes, numbers::usize_to_u64(reply.len()));
                record_latency(ctx, pending, now);
                if pending.sequence == self.first_sequence {
                    ctx.note_first_latency(now.saturating_duration_since(pending.sent));
                }
                self.valid_replies += 1;
                Count::Replies
            }
            ReplyClass::Reordered(pending) => {
                record_latency(ctx, pending, now);
                Count::Reordered
            }
            ReplyClass::Late => {
                // It was counted as missing at its time-out, and its latency recorded.
                ctx.recorder.counters.take_back(Count::Missing);
                if ctx.is_measured(now) {
                    ctx.recorder.count(Count::InWindow);
                }
                Count::Late
            }
            ReplyClass::WrongKind => Count::WrongKind,
            ReplyClass::Changed => Count::Changed,
            ReplyClass::Repeated => Count::Repeated,
            ReplyClass::WrongConnection => Count::WrongConnection,
            ReplyClass::Unsolicited if ctx.plan().ignore_unasked => Count::Ignored,
            ReplyClass::Unsolicited => Count::Unsolicited,
        }
    }

    /// Classifies a message with `--one-way receive`, and records how long after the one before it came.
    fn on_received(&mut self, ctx: &mut DriverContext, message: &[u8]) -> Count {
        let now = self.read_at();
        self.gaps.note(ctx, now);
        let expect = &ctx.plan().expect;
        if !expect.is_echo() && !expect.accepts(message) {
            return if ctx.plan().ignore_unasked { Count::Ignored } else { Count::Changed };
        }
        ctx.recorder.counters.add(Count::ReplyBytes, numbers::usize_to_u64(message.len()));
        if ctx.is_measured(now) {
            ctx.recorder.count(Count::InWindow);
            ctx.last_reply = Some(now);
        }
        Count::Replies
    }

    /// Classifies a message in a room (`--fan-out`), and records its latency.
    fn on_delivery(&mut self, ctx: &mut DriverContext, message: &[u8], kind: MessageKind) -> Count {
        let now = self.read_at();
        ctx.read_timeline();
        let (run, plan) = (&ctx.run, &ctx.run.plan);
        let (Some(room), Some(deliveries)) = (&run.room, &mut self.deliveries) else {
            return Count::Unsolicited;
        };
        let body = message.strip_prefix(plan.expect_prefix.as_bytes()).unwrap_or(message);
        let was_sent = |sender: u32, sequence| {
            let sent = room.sent_by(numbers::u64_to_usize(u64::from(sender)));
            sequence < sent && room.fan_out.reaches(self.connection, sender)
        };
        let claimed = plan.payloads.claims(body).filter(|(sender, sequence)| was_sent(*sender, *sequence));
        let Some((sender, sequence)) = claimed else {
            return if plan.ignore_unasked || self.is_reply_to_first(plan, message) {
                Count::Ignored
            } else {
                Count::Unsolicited
            };
        };
        let arrival = deliveries.arrive(sender, sequence);
        if let Arrival::New { dropped } = arrival {
            ctx.recorder.counters.add(Count::Missing, dropped);
        }
        let count = match arrival {
            Arrival::Repeated => return Count::Repeated,
            Arrival::TimedOut => {
                ctx.recorder.counters.take_back(Count::Missing);
                Count::Late
            }
            _ if !plan.payloads.matches(sender, sequence, body) => return Count::Changed,
            _ if kind != plan.payloads.kind => return Count::WrongKind,
            Arrival::Overtaken => Count::Reordered,
            Arrival::New { .. } => {
                ctx.recorder.counters.add(Count::ReplyBytes, numbers::usize_to_u64(message.len()));
                Count::Replies
            }
        };
        record_delivery(ctx, (sender, sequence), count != Count::Late, now);
        count
    }

    /// Returns whether `reply` belongs to the message of `--first`: it arrived before the first message of
    /// the load was sent, or is an echo of it.
    fn is_reply_to_first(&self, plan: &Plan, reply: &[u8]) -> bool {
        self.first.as_ref().is_some_and(|first| {
            self.next_sequence() == self.first_sequence
                || reply.strip_prefix(plan.expect_prefix.as_bytes()) == Some(first.as_slice())
        })
    }
}
