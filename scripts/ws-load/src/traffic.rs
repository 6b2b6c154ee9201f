//! The conversation on an open connection: sends what is due, judges what comes back.

use super::{
    channel::Channel,
    connection::would_block,
    context::Context,
    deflate,
    failure::Failure,
    ledger::{Asked, Ledger, Rules, Verdict},
    numbers,
    payload::Kind,
    plan::Mode,
    stats::{Count, Metric},
    wire::Readiness,
};
use std::time::{Duration, Instant};
use tungstenite::{
    Error, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// A send that left later than this after it could have is the generator's own fault, and counted.
pub(super) const SENT_LATE: Duration = Duration::from_millis(1);

/// The connection ended without our asking.
#[derive(Debug)]
pub(super) struct Ended(pub(super) Failure);

/// An open connection.
#[derive(Debug)]
pub(super) struct Talk {
    channel: Channel,
    connection: u32,
    ledger: Ledger,
    compress: bool,
    /// The socket takes no more bytes now.
    blocked: bool,
    /// Since when the next message could have been sent, as far as the server is concerned.
    room_at: Instant,
    /// The sequence number it began with.
    first: u64,
    /// How many right replies have come.
    answers: u64,
    /// The server's Close has come.
    acknowledged: bool,
}

impl Talk {
    pub(super) fn new(channel: Channel, connection: u32, next: u64, compress: bool, now: Instant) -> Self {
        Self {
            channel,
            connection,
            ledger: Ledger::starting_at(next),
            compress,
            blocked: false,
            room_at: now,
            first: next,
            answers: 0,
            acknowledged: false,
        }
    }

    pub(super) fn note(&mut self, readiness: Readiness) {
        self.channel.wire_mut().note(readiness);
    }

    pub(super) fn in_flight(&self) -> usize {
        self.ledger.in_flight()
    }

    pub(super) fn next(&self) -> u64 {
        self.ledger.next
    }

    pub(super) fn read_at(&self) -> Instant {
        self.channel.wire().read_at()
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// Whether it has sent something and awaits nothing any more.
    pub(super) fn is_finished(&self) -> bool {
        self.ledger.next > self.first && self.ledger.in_flight() == 0
    }

    /// Whether a right reply has come.
    pub(super) fn is_answered(&self) -> bool {
        self.answers > 0
    }

    /// Reads until the socket is empty, then sends what the replies made room for.
    pub(super) fn receive(&mut self, cx: &mut Context, released: u64) -> Result<(), Ended> {
        loop {
            match self.channel.read() {
                Ok(Message::Close(frame)) => return Err(Ended(Failure::from_close(frame.as_ref()))),
                Ok(message) => self.hear(cx, message)?,
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(Ended(Failure::from_websocket(&error))),
            }
        }
        if self.blocked && self.channel.wire().is_writable() {
            self.flush()?;
            self.room_at = Instant::now();
        }
        self.send(cx, released)
    }

    fn hear(&mut self, cx: &mut Context, message: Message) -> Result<(), Ended> {
        match message {
            Message::Text(text) => self.data(cx, text.as_str().as_bytes(), Kind::Text),
            Message::Binary(bytes) => self.data(cx, &bytes, Kind::Binary),
            Message::Ping(_) => {
                cx.recorder.count(Count::Pings);
                Ok(())
            }
            Message::Pong(_) | Message::Close(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn data(&mut self, cx: &mut Context, reply: &[u8], kind: Kind) -> Result<(), Ended> {
        if let Some((kind, true)) = self.channel.wire_mut().pop_tap() {
            if !self.compress {
                return Err(Ended(Failure::unwanted_extension()));
            }
            let inflated =
                deflate::inflate(reply, cx.max_reply).ok_or_else(|| Ended(Failure::bad_deflate()))?;
            if kind == Kind::Text && std::str::from_utf8(&inflated).is_err() {
                return Err(Ended(Failure::bad_deflate()));
            }
            self.judge(cx, &inflated, kind);
        } else {
            self.judge(cx, reply, kind);
        }
        Ok(())
    }

    fn judge(&mut self, cx: &mut Context, reply: &[u8], kind: Kind) {
        let before = self.ledger.in_flight();
        let plan = &cx.shared.plan;
        let rules =
            Rules { payloads: &plan.payloads, connection: self.connection, prefix: &plan.expect_prefix };
        let verdict = self.ledger.judge(rules, reply, kind);
        let now = self.read_at();
        if before >= plan.depth && self.ledger.in_flight() < before {
            self.room_at = now;
        }
        cx.in_flight = cx.in_flight.saturating_sub(numbers::wide(before - self.ledger.in_flight()));
        let count = match verdict {
            Verdict::Right(asked) => {
                cx.recorder.counters.add(Count::ReplyBytes, numbers::wide(reply.len()));
                timed(cx, asked, now);
                self.answers += 1;
                Count::Replies
            }
            Verdict::Reordered(asked) => {
                timed(cx, asked, now);
                Count::Reordered
            }
            Verdict::Late(asked) => {
                timed(cx, asked, now);
                Count::Late
            }
            Verdict::WrongKind => Count::WrongKind,
            Verdict::Changed => Count::Changed,
            Verdict::Repeated => Count::Repeated,
            Verdict::Misdelivered => Count::Misdelivered,
            Verdict::Unasked => Count::Unasked,
        };
        cx.recorder.count(count);
    }

    /// Sends as much as the depth, the schedule and the socket allow, in one write where possible.
    pub(super) fn send(&mut self, cx: &mut Context, released: u64) -> Result<(), Ended> {
        let mut budget = self.budget(cx, released);
        if budget == 0 || self.blocked {
            return Ok(());
        }
        let now = Instant::now();
        while budget > 0 && !self.blocked {
            self.gather(cx, now)?;
            budget -= 1;
            if budget > 0 {
                let sent = self.channel.send_if_full();
                self.note_sent(sent)?;
            }
        }
        self.flush()
    }

    fn budget(&self, cx: &Context, released: u64) -> u64 {
        let plan = cx.plan();
        let room = numbers::wide(plan.depth.saturating_sub(self.ledger.in_flight()));
        match plan.mode {
            Mode::Rate(_) => room.min(released.saturating_sub(self.ledger.next)),
            // A cycle that has begun is finished, even when no new one begins any more.
            Mode::Churn => u64::from(self.ledger.next == self.first),
            Mode::Closed if cx.sending => room.min(cx.quota),
            Mode::Closed | Mode::Hold => 0,
        }
    }

    /// Adds the next message to what waits to be sent.
    fn gather(&mut self, cx: &mut Context, now: Instant) -> Result<(), Ended> {
        let sequence = self.ledger.next;
        let due = match cx.schedule() {
            Some(schedule) => {
                let due = schedule.due(self.connection, sequence);
                if cx.is_measured(due) {
                    lateness(cx, due, self.room_at, now);
                }
                due
            }
            None => now,
        };
        cx.recorder.count(Count::Sent);
        cx.in_flight += 1;
        if cx.plan().mode != Mode::Churn {
            cx.spend_quota(now);
        }
        self.ledger.ask(due, now);
        let payloads = &cx.shared.plan.payloads;
        let parts = payloads.parts(self.connection, sequence);
        cx.recorder.counters.add(Count::SentBytes, numbers::wide(parts.len()));
        if self.compress {
            let deflated = deflate::deflate(&parts.both().concat());
            let deflated = deflated.ok_or_else(|| Ended(Failure::bad_deflate()))?;
            self.channel.gather(payloads.kind, true, [&deflated, b""]);
        } else {
            self.channel.gather(payloads.kind, false, parts.both());
        }
        Ok(())
    }

    /// Sends everything that waits.
    fn flush(&mut self) -> Result<(), Ended> {
        let sent = self.channel.flush();
        self.note_sent(sent)
    }

    /// What came of a send: whether the socket takes no more now.
    fn note_sent(&mut self, sent: tungstenite::Result<()>) -> Result<(), Ended> {
        self.blocked = match sent {
            Ok(()) => false,
            Err(error) if would_block(&error) => true,
            Err(error) => return Err(Ended(Failure::from_websocket(&error))),
        };
        Ok(())
    }

    /// Gives up on replies that are past their time-out. True if that made room.
    pub(super) fn expire(&mut self, cx: &mut Context, now: Instant) -> bool {
        let before = self.ledger.in_flight();
        let given_up = self.ledger.expire(now, cx.plan().timeout);
        cx.missing(given_up);
        let expired = before - self.ledger.in_flight();
        cx.in_flight = cx.in_flight.saturating_sub(numbers::wide(expired));
        if expired > 0 {
            self.room_at = now;
        }
        expired > 0
    }

    /// Sends the Close; what the server makes of it, [`Talk::hear_out`] sees.
    pub(super) fn close(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        // An error here comes up again with the next read.
        let _ = self.channel.close(frame);
    }

    /// Reads on after the Close. Once it is over: whether the closing handshake was complete.
    pub(super) fn hear_out(&mut self, cx: &mut Context) -> Option<bool> {
        loop {
            match self.channel.read() {
                Ok(Message::Close(_)) => self.acknowledged = true,
                Ok(message) => {
                    if self.hear(cx, message).is_err() {
                        return Some(false);
                    }
                }
                Err(error) if would_block(&error) => {
                    // What remains of the Close itself; the next event says if it could not go out.
                    let _ = self.channel.flush();
                    return None;
                }
                Err(Error::ConnectionClosed) => return Some(true),
                Err(_) => return Some(self.acknowledged),
            }
        }
    }

    /// Ends the account: what was not answered is missing.
    pub(super) fn settle(&mut self, cx: &mut Context) {
        cx.in_flight = cx.in_flight.saturating_sub(numbers::wide(self.ledger.in_flight()));
        let missing = self.ledger.settle();
        cx.missing(missing);
    }
}

/// Enters the latencies of a reply that came at `now`.
fn timed(cx: &mut Context, asked: Asked, now: Instant) {
    if cx.is_measured(asked.due) {
        cx.recorder.record(Metric::Corrected, now.saturating_duration_since(asked.due));
        cx.recorder.record(Metric::Raw, now.saturating_duration_since(asked.sent));
        cx.last_reply = Some(now);
    }
    if cx.is_measured(now) {
        cx.recorder.count(Count::InWindow);
    }
}

/// Splits the lateness of a send into the server's part, which ends with `room_at`, and the generator's own.
fn lateness(cx: &mut Context, due: Instant, room_at: Instant, now: Instant) {
    let own = now.saturating_duration_since(due.max(room_at));
    cx.recorder.record(Metric::Lateness, own);
    cx.recorder.count(Count::Scheduled);
    if room_at > due {
        cx.recorder.count(Count::HeldBack);
    }
    if own > SENT_LATE {
        cx.recorder.count(Count::SentLate);
    }
}
