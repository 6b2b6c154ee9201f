//! The messages on an open connection: its state, its reads, and its end.

use super::{
    context::DriverContext,
    deliveries::Deliveries,
    failure::Failure,
    gaps::Gaps,
    in_flight::InFlight,
    latency::{record_lost, record_missing},
};
use crate::{
    net::{
        client_stream::Readiness,
        message_kind::MessageKind,
        protocol::{ClientProtocol, would_block},
    },
    numbers,
    stats::counters::Count,
    workload::{mode::Mode, slot_queue::SlotQueue},
};
use std::{collections::VecDeque, time::Instant};
use tungstenite::{
    Error, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// What a connection reads before others get their turn: so many messages, or pieces of [`READ_PIECE`]. A
/// server that sends as fast as it can would never leave the socket empty.
const READ_TURN: usize = 256;
/// Bytes that count as one message of [`READ_TURN`].
const READ_PIECE: usize = 4 << 10;

/// The server ended the session.
#[derive(Debug)]
pub(crate) enum SessionEnd {
    /// It was lost.
    Lost(Failure),
    /// The server has sent everything that it had to send (`--one-way receive`), and closed it with code
    /// 1000.
    Complete,
}

/// A connection after its handshakes.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(crate) struct OpenConnection {
    pub(super) protocol: ClientProtocol,
    pub(super) connection: u32,
    pub(super) in_flight: InFlight,
    /// When the messages were due that an earlier session has sent without a reply.
    pub(super) resend: VecDeque<Instant>,
    pub(super) compress: bool,
    /// The socket accepts no more bytes now.
    pub(super) blocked: bool,
    /// There is more to read or to send than one turn allows.
    pub(super) unfinished: bool,
    /// Since when the server has allowed the next message: a reply or socket space made room for it.
    pub(super) sendable_since: Instant,
    pub(super) first_sequence: u64,
    pub(super) valid_replies: u64,
    close_received: bool,
    /// The message of `--first`.
    pub(super) first: Option<Vec<u8>>,
    /// For `--one-way receive`.
    pub(super) gaps: Gaps,
    /// With `--fan-out`.
    pub(super) deliveries: Option<Box<Deliveries>>,
}

impl OpenConnection {
    /// Creates the connection whose first message has the sequence number `next`.
    pub(crate) fn new(
        protocol: ClientProtocol,
        connection: u32,
        next: u64,
        compress: bool,
        ctx: &DriverContext,
    ) -> Self {
        let now = Instant::now();
        let room = ctx.run.room.as_ref();
        Self {
            protocol,
            connection,
            in_flight: InFlight::starting_at(next),
            resend: VecDeque::new(),
            compress,
            blocked: false,
            unfinished: false,
            sendable_since: now,
            first_sequence: next,
            valid_replies: 0,
            close_received: false,
            first: None,
            gaps: Gaps::new(now),
            deliveries: room.map(|room| Box::new(Deliveries::new(connection, room.fan_out))),
        }
    }

    pub(crate) fn note(&mut self, readiness: Readiness) {
        self.protocol.stream_mut().note(readiness);
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

    /// Returns whether it stopped before the socket was empty, or could send more. It has to be continued
    /// without a readiness event.
    pub(crate) fn take_unfinished(&mut self) -> bool {
        std::mem::take(&mut self.unfinished)
    }

    /// Reads until the socket is empty or its turn is over, then sends the messages that the replies made
    /// room for.
    pub(crate) fn receive(
        &mut self,
        ctx: &mut DriverContext,
        queue: &mut SlotQueue,
    ) -> Result<(), SessionEnd> {
        let mut turn = READ_TURN;
        loop {
            match self.protocol.read() {
                Ok(Message::Close(frame)) => return Err(self.on_close_frame(ctx, frame.as_ref())),
                Ok(message) => {
                    let pieces = 1 + message.len() / READ_PIECE;
                    self.on_message(ctx, message)?;
                    turn = turn.saturating_sub(pieces);
                }
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(SessionEnd::Lost(Failure::from_websocket(&error))),
            }
            if turn == 0 {
                self.unfinished = true;
                break;
            }
        }
        if self.blocked && self.protocol.stream().is_writable() {
            self.flush()?;
            self.sendable_since = Instant::now();
        }
        self.send(ctx, queue)
    }

    fn on_close_frame(&mut self, ctx: &DriverContext, frame: Option<&CloseFrame>) -> SessionEnd {
        self.close_received = true;
        // Sends the reply (RFC 6455, 5.5.1). The connection ends in any case.
        let _ = self.protocol.flush();
        match frame {
            Some(frame) if ctx.plan().mode == Mode::Receive && frame.code == CloseCode::Normal => {
                SessionEnd::Complete
            }
            frame => SessionEnd::Lost(Failure::from_close(frame)),
        }
    }

    /// Sends the message of `--first`, if there is one.
    pub(crate) fn send_first(&mut self, ctx: &DriverContext) -> Result<(), SessionEnd> {
        let plan = ctx.plan();
        let Some(first) = &plan.first else { return Ok(()) };
        let first = plan.target.fields.first_message(first, self.connection);
        self.protocol.write_message(MessageKind::Text, false, [&first, b""]);
        self.first = Some(first);
        self.flush()
    }

    /// Notes from the result of a send whether the socket accepts more bytes.
    pub(super) fn set_blocked(&mut self, sent: tungstenite::Result<()>) -> Result<(), SessionEnd> {
        self.blocked = match sent {
            Ok(()) => false,
            Err(error) if would_block(&error) => true,
            Err(error) => return Err(SessionEnd::Lost(Failure::from_websocket(&error))),
        };
        Ok(())
    }

    /// Applies the reply time-out: the messages are missing from now on. Returns whether that made room for
    /// new messages.
    pub(crate) fn expire_overdue(&mut self, ctx: &mut DriverContext, now: Instant) -> bool {
        self.count_wire_bytes(ctx);
        if let (Some(deliveries), Some(sent)) = (&mut self.deliveries, ctx.sent_before_timeout.clone()) {
            deliveries.expire(&sent, |sender, sequence| record_lost(ctx, (sender, sequence), now));
        }
        let before = self.in_flight.len();
        let timeout = ctx.plan().timeout;
        self.in_flight.expire_overdue(now, timeout, |pending| {
            record_missing(ctx, pending.due, pending.sent, now);
        });
        let expired = before - self.in_flight.len();
        ctx.in_flight = ctx.in_flight.saturating_sub(numbers::usize_to_u64(expired));
        if expired > 0 {
            self.sendable_since = now;
        }
        expired > 0
    }

    /// Returns whether no message is in flight to this connection.
    pub(crate) fn is_quiet(&self, ctx: &DriverContext) -> bool {
        let has_deliveries = || match (&self.deliveries, &ctx.run.room) {
            (Some(deliveries), Some(room)) => deliveries.is_settled(|sender| room.sent_by(sender)),
            _ => true,
        };
        self.in_flight.len() == 0 && self.resend.is_empty() && has_deliveries()
    }

    /// Adds the bytes that were sent and received since the last call.
    fn count_wire_bytes(&mut self, ctx: &mut DriverContext) {
        let (sent, received) = self.protocol.stream_mut().take_wire_bytes();
        ctx.recorder.counters.add(Count::WireSentBytes, sent);
        ctx.recorder.counters.add(Count::WireReceivedBytes, received);
    }

    /// Sends the Close frame. [`OpenConnection::drain_close`] reads the response to it.
    pub(crate) fn close(&mut self, ctx: &mut DriverContext) {
        if ctx.plan().mode == Mode::Receive {
            self.gaps.end(ctx, Instant::now());
        }
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        // The next read returns the error again.
        let _ = self.protocol.close(frame);
    }

    /// Reads until the connection has ended, and then returns whether the closing handshake was complete.
    /// Returns `None` if the socket is empty before that.
    pub(crate) fn drain_close(&mut self, ctx: &mut DriverContext) -> Option<bool> {
        let mut turn = READ_TURN;
        while turn > 0 {
            match self.protocol.read() {
                Ok(Message::Close(_)) => self.close_received = true,
                Ok(message) => {
                    turn = turn.saturating_sub(1 + message.len() / READ_PIECE);
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
        self.unfinished = true;
        None
    }

    /// Removes the messages that have no reply, and returns when they were due.
    pub(crate) fn take_unanswered(&mut self, ctx: &mut DriverContext) -> VecDeque<Instant> {
        ctx.in_flight = ctx.in_flight.saturating_sub(numbers::usize_to_u64(self.in_flight.len()));
        let unanswered = self.in_flight.drain_missing().map(|pending| pending.due);
        unanswered.chain(std::mem::take(&mut self.resend)).collect()
    }

    /// Counts every message that has no reply, or was not delivered, as missing. For the end of the
    /// connection.
    pub(crate) fn count_missing(&mut self, ctx: &mut DriverContext) {
        self.count_wire_bytes(ctx);
        ctx.in_flight = ctx.in_flight.saturating_sub(numbers::usize_to_u64(self.in_flight.len()));
        let now = Instant::now();
        for due in std::mem::take(&mut self.resend) {
            record_missing(ctx, due, due, now);
        }
        for pending in self.in_flight.drain_missing() {
            record_missing(ctx, pending.due, pending.sent, now);
        }
        if let (Some(deliveries), Some(sent)) = (&mut self.deliveries, ctx.run.sent_in_room()) {
            ctx.recorder.counters.add(Count::Expected, deliveries.expected(&sent));
            deliveries.expire(&sent, |sender, sequence| record_lost(ctx, (sender, sequence), now));
            if let (Some(order), Some(room)) = (deliveries.order(), &ctx.run.room) {
                room.note_order(order);
            }
        }
    }
}
