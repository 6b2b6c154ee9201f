//! The messages on an open connection: sends what is due, classifies what arrives.

use super::{
    context::DriverContext,
    failure::Failure,
    in_flight::{InFlight, ReplyClass, ReplyRules},
    latency::{record_latency, record_lateness, record_missing},
};
use crate::{
    net::{
        client_stream::Readiness,
        deflate,
        message_kind::MessageKind,
        protocol::{ClientProtocol, would_block},
    },
    numbers,
    stats::counters::Count,
    workload::{mode::Mode, plan::Plan, slot_queue::SlotQueue},
};
use std::time::Instant;
use tungstenite::{
    Error, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// The connection ended before this side closed it.
#[derive(Debug)]
pub(crate) struct ConnectionLost(pub(crate) Failure);

/// A connection after its handshakes.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    protocol: ClientProtocol,
    connection: u32,
    in_flight: InFlight,
    compress: bool,
    /// The socket accepts no more bytes now.
    blocked: bool,
    /// Since when the server has allowed the next message: a reply or socket space made room for it.
    sendable_since: Instant,
    first_sequence: u64,
    valid_replies: u64,
    close_received: bool,
}

impl OpenConnection {
    /// Creates the connection whose first message has the sequence number `next`.
    pub(crate) fn new(
        protocol: ClientProtocol,
        connection: u32,
        next: u64,
        compress: bool,
        now: Instant,
    ) -> Self {
        Self {
            protocol,
            connection,
            in_flight: InFlight::starting_at(next),
            compress,
            blocked: false,
            sendable_since: now,
            first_sequence: next,
            valid_replies: 0,
            close_received: false,
        }
    }

    pub(crate) fn note(&mut self, readiness: Readiness) {
        self.protocol.stream_mut().note(readiness);
    }

    pub(crate) fn in_flight_count(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns the sequence number of the next message.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.in_flight.next_sequence
    }

    pub(crate) fn read_at(&self) -> Instant {
        self.protocol.stream().read_at()
    }

    pub(crate) fn is_close_received(&self) -> bool {
        self.close_received
    }

    /// Returns whether it has sent a message and none is in flight.
    pub(crate) fn is_finished(&self) -> bool {
        self.next_sequence() > self.first_sequence && self.in_flight.len() == 0
    }

    pub(crate) fn has_valid_reply(&self) -> bool {
        self.valid_replies > 0
    }

    /// Reads until the socket is empty, then sends the messages that the replies made room for.
    pub(crate) fn receive(
        &mut self,
        ctx: &mut DriverContext,
        queue: &mut SlotQueue,
    ) -> Result<(), ConnectionLost> {
        loop {
            match self.protocol.read() {
                Ok(Message::Close(frame)) => {
                    return Err(ConnectionLost(Failure::from_close(frame.as_ref())));
                }
                Ok(message) => self.on_message(ctx, message)?,
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(ConnectionLost(Failure::from_websocket(&error))),
            }
        }
        if self.blocked && self.protocol.stream().is_writable() {
            self.flush()?;
            self.sendable_since = Instant::now();
        }
        self.send(ctx, queue)
    }

    fn on_message(&mut self, ctx: &mut DriverContext, message: Message) -> Result<(), ConnectionLost> {
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
    ) -> Result<(), ConnectionLost> {
        let Some((kind, true)) = self.protocol.stream_mut().pop_message_info() else {
            self.on_reply(ctx, reply, kind);
            return Ok(());
        };
        if !self.compress {
            return Err(ConnectionLost(Failure::unexpected_extension()));
        }
        let inflated = deflate::inflate(reply, ctx.max_reply)
            .filter(|inflated| kind == MessageKind::Binary || std::str::from_utf8(inflated).is_ok())
            .ok_or_else(|| ConnectionLost(Failure::bad_deflate()))?;
        self.on_reply(ctx, &inflated, kind);
        Ok(())
    }

    /// Classifies a reply, and counts it under its class.
    fn on_reply(&mut self, ctx: &mut DriverContext, reply: &[u8], kind: MessageKind) {
        let before = self.in_flight.len();
        let plan = &ctx.run.plan;
        if self.is_reply_to_first(plan, reply) {
            ctx.recorder.count(Count::Ignored);
            return;
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
        let count = match class {
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
            ReplyClass::Corrupted => Count::Corrupted,
            ReplyClass::Repeated => Count::Repeated,
            ReplyClass::WrongConnection => Count::WrongConnection,
            ReplyClass::Unsolicited if ctx.plan().ignore_unasked => Count::Ignored,
            ReplyClass::Unsolicited => Count::Unsolicited,
        };
        ctx.recorder.count(count);
    }

    /// Sends the message of `--first`, if there is one.
    pub(crate) fn send_first(&mut self, ctx: &DriverContext) -> Result<(), ConnectionLost> {
        let Some(first) = &ctx.plan().first else { return Ok(()) };
        self.protocol.write_message(MessageKind::Text, false, [first.as_bytes(), b""]);
        self.flush()
    }

    /// Returns whether `reply` belongs to the message of `--first`: it arrived before the first message of
    /// the load was sent, or is an echo of it.
    fn is_reply_to_first(&self, plan: &Plan, reply: &[u8]) -> bool {
        plan.first.as_ref().is_some_and(|first| {
            self.next_sequence() == self.first_sequence
                || reply.strip_prefix(plan.expect_prefix.as_bytes()) == Some(first.as_bytes())
        })
    }

    /// Sends as many messages as the depth, the schedule and the socket allow, in one write where possible.
    /// `queue` holds the messages of the schedule that this connection was dealt.
    pub(crate) fn send(
        &mut self,
        ctx: &mut DriverContext,
        queue: &mut SlotQueue,
    ) -> Result<(), ConnectionLost> {
        let mut budget = self.send_budget(ctx, queue);
        if budget == 0 || self.blocked {
            return Ok(());
        }
        let now = Instant::now();
        while budget > 0 && !self.blocked {
            self.write_next(ctx, queue, now)?;
            budget -= 1;
            if budget > 0 {
                let sent = self.protocol.send_if_full();
                self.set_blocked(sent)?;
            }
        }
        self.flush()
    }

    /// Returns how many messages may be sent now, apart from the socket.
    fn send_budget(&mut self, ctx: &DriverContext, queue: &mut SlotQueue) -> u64 {
        let plan = ctx.plan();
        let places = plan.depth.saturating_sub(self.in_flight.len());
        let room = numbers::usize_to_u64(places);
        match plan.mode {
            Mode::Rate(_) if ctx.sending => {
                if !self.blocked && ctx.take_unassigned(queue, places) {
                    // They waited because the server closed another connection.
                    self.sendable_since = Instant::now();
                }
                room.min(queue.len())
            }
            // A cycle that has begun is completed, also after the end of the measured time.
            Mode::Churn => u64::from(self.next_sequence() == self.first_sequence),
            Mode::Closed if ctx.sending => room.min(ctx.quota),
            Mode::Closed | Mode::Rate(_) | Mode::Hold => 0,
        }
    }

    /// Appends the next message to the send buffer.
    fn write_next(
        &mut self,
        ctx: &mut DriverContext,
        queue: &mut SlotQueue,
        now: Instant,
    ) -> Result<(), ConnectionLost> {
        let sequence = self.next_sequence();
        let due = ctx.schedule.as_ref().zip(queue.pop()).map(|(schedule, ticket)| schedule.due(ticket));
        let due = match due {
            Some(due) => {
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
        if ctx.plan().expect.is_none() {
            self.in_flight.next_sequence += 1;
            if ctx.is_measured(now) {
                ctx.recorder.count(Count::InWindow);
            }
        } else {
            self.in_flight.insert(due, now);
            ctx.in_flight += 1;
        }
        let payloads = &ctx.run.plan.payloads;
        let parts = payloads.parts(self.connection, sequence);
        ctx.recorder.counters.add(Count::SentBytes, numbers::usize_to_u64(parts.len()));
        if self.compress {
            let deflated = deflate::deflate(&parts.both().concat());
            let deflated = deflated.ok_or_else(|| ConnectionLost(Failure::bad_deflate()))?;
            self.protocol.write_message(payloads.kind, true, [&deflated, b""]);
        } else {
            self.protocol.write_message(payloads.kind, false, parts.both());
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ConnectionLost> {
        let sent = self.protocol.flush();
        self.set_blocked(sent)
    }

    /// Notes from the result of a send whether the socket accepts more bytes.
    fn set_blocked(&mut self, sent: tungstenite::Result<()>) -> Result<(), ConnectionLost> {
        self.blocked = match sent {
            Ok(()) => false,
            Err(error) if would_block(&error) => true,
            Err(error) => return Err(ConnectionLost(Failure::from_websocket(&error))),
        };
        Ok(())
    }

    /// Applies the reply time-out: the messages are missing from now on. Returns whether that made room for new messages.
    pub(crate) fn expire_overdue(&mut self, ctx: &mut DriverContext, now: Instant) -> bool {
        let before = self.in_flight.len();
        let timeout = ctx.plan().timeout;
        self.in_flight.expire_overdue(now, timeout, |pending| record_missing(ctx, pending, now));
        let expired = before - self.in_flight.len();
        ctx.in_flight = ctx.in_flight.saturating_sub(numbers::usize_to_u64(expired));
        if expired > 0 {
            self.sendable_since = now;
        }
        expired > 0
    }

    /// Sends the Close frame. [`OpenConnection::drain_close`] reads the response to it.
    pub(crate) fn close(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        // The next read returns the error again.
        let _ = self.protocol.close(frame);
    }

    /// Reads until the connection has ended, and then returns whether the closing handshake was complete.
    /// Returns `None` if the socket is empty before that.
    pub(crate) fn drain_close(&mut self, ctx: &mut DriverContext) -> Option<bool> {
        loop {
            match self.protocol.read() {
                Ok(Message::Close(_)) => self.close_received = true,
                Ok(message) => {
                    if self.on_message(ctx, message).is_err() {
                        return Some(false);
                    }
                }
                Err(error) if would_block(&error) => {
                    // The rest of the Close frame. A failure shows at the next read.
                    let _ = self.protocol.flush();
                    return None;
                }
                Err(Error::ConnectionClosed) => return Some(true),
                Err(_) => return Some(self.close_received),
            }
        }
    }

    /// Counts every message without a reply as missing. For the end of the connection.
    pub(crate) fn count_missing(&mut self, ctx: &mut DriverContext) {
        ctx.in_flight = ctx.in_flight.saturating_sub(numbers::usize_to_u64(self.in_flight.len()));
        let now = Instant::now();
        for pending in self.in_flight.drain_missing() {
            record_missing(ctx, pending, now);
        }
    }
}
