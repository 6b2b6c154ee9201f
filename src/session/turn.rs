//! A turn: what a session does on a worker, from the time when it is ready until it waits again.
//!
//! A turn ends when the peer has sent nothing more, when the peer does not take what is owed to it, or when
//! the session has used its share. So a session that has nothing to do, and one that cannot go on, hold no
//! worker.

use std::io;
use std::time::{Duration, Instant};

use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, Message};

use super::end::{DropMode, SessionEnd};
use super::endpoint::{Endpoint, Next};
use super::websocket::WebSocketSession;
use crate::platform::readiness::Interest;
use crate::platform::tune::tuning;
use crate::transport::phase::Phase;
use crate::transport::waiting::Waiting;

/// Steps of one turn at most: a step is a message, a wake-up, or both. At about 0.3 µs a small message this
/// is a third of a millisecond.
const TURN_STEPS: usize = 1024;

/// How long the buffers of a large message are kept for the next one. To allocate them for every message
/// costs more than the echo; see scripts/TUNING.md.
const BUFFER_IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns [`TURN_STEPS`], or the value that replaces it.
fn turn_steps() -> usize {
    tuning().turn_steps.unwrap_or(TURN_STEPS)
}

/// Returns [`BUFFER_IDLE_TIMEOUT`], or the value that replaces it.
fn buffer_idle_timeout() -> Duration {
    let replaced = tuning().buffer_idle_ms.map(|ms| Duration::from_millis(ms as u64));
    replaced.unwrap_or(BUFFER_IDLE_TIMEOUT)
}

/// How a turn ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TurnEnd {
    /// The session waits.
    Wait(Interest),
    /// The session has used its share and has more to do.
    Yield,
    /// The session has ended.
    Ended(SessionEnd, Finish),
}

/// What to do with the connection of a session that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Send the rest, shut down the sending half, and wait for the peer's end of stream.
    Linger,
    /// As `Linger`, after a Close for an error in a message that the peer may still be sending: it gets the
    /// close time-out to finish it. A reset fails its write, and it would not read the Close.
    LingerAfterError,
    /// Nothing: the connection has failed or was aborted.
    Close,
    /// Close the socket with a RST.
    Reset,
}

/// What a read returned.
enum Received {
    Message(Message),
    Nothing,
    /// The peer's Close.
    Close(Option<CloseFrame>),
    Failed(Error),
}

impl WebSocketSession {
    /// Opens the session: calls the endpoint for the first time. [`turn`](Self::turn) has to follow.
    pub(crate) fn open(&mut self, endpoint: &mut dyn Endpoint) {
        let next = endpoint.on_open(self);
        self.apply(next);
    }

    /// Begins a turn. `readable`: bytes may have arrived since the last one.
    pub(crate) fn begin_turn(&mut self, readable: bool) {
        self.transport.begin_turn(readable);
        self.release_buffers_if_due();
        if self.release_buffers_at.is_some() && !self.has_large_read_buffer {
            self.enlarge_read_buffer();
        }
    }

    /// Takes a turn.
    pub(crate) fn turn(&mut self, endpoint: &mut dyn Endpoint) -> TurnEnd {
        let mut end = self.run_steps(endpoint);
        endpoint.before_wait(self);
        if !matches!(end, TurnEnd::Ended(..)) && !self.count_memory() {
            end = self.close_for_memory();
        }
        if !matches!(end, TurnEnd::Ended(..)) {
            end = match self.handle.writer().flush() {
                Ok(true) => end,
                Ok(false) => TurnEnd::Wait(Interest::Write),
                Err(error) => TurnEnd::Ended(self.io_failed(&error), Finish::Close),
            };
        }
        let must_read_on = self.transport.end_turn();
        if must_read_on && end == TurnEnd::Wait(Interest::Read) {
            end = TurnEnd::Yield;
        }
        let waiting = match end {
            TurnEnd::Wait(Interest::Read) => self.transport.waits_for(),
            _ => Waiting::NotReading,
        };
        self.handle.connection().set_waiting(waiting);
        end
    }

    /// Returns when the session has to have a turn even if nothing arrives.
    pub(crate) fn next_wake_up(&self, waits_for: Interest) -> Option<Instant> {
        // The endpoint is not called while bytes are owed.
        let wake_at = self.wake_at.filter(|_| waits_for != Interest::Write);
        match (wake_at, self.release_buffers_at) {
            (Some(wake_at), Some(release_at)) => Some(wake_at.min(release_at)),
            (one, other) => one.or(other),
        }
    }

    fn run_steps(&mut self, endpoint: &mut dyn Endpoint) -> TurnEnd {
        for _ in 0..turn_steps() {
            if let Some(end) = self.obstacle() {
                return end;
            }
            let woken = self.wake_at.is_some_and(|time| Instant::now() >= time);
            if woken {
                self.wake_at = None;
                let next = endpoint.on_wake(self);
                self.apply(next);
                if let Some(end) = self.obstacle() {
                    return end;
                }
            }
            let received = if self.reading_paused { Received::Nothing } else { self.next_message() };
            match received {
                Received::Message(message) => {
                    let next = endpoint.on_message(self, message);
                    self.apply(next);
                }
                Received::Nothing if woken => {}
                Received::Nothing if self.reading_paused => return self.wait_without_reading(),
                Received::Nothing => return TurnEnd::Wait(Interest::Read),
                // What the endpoint has gathered goes out before the Close.
                Received::Close(frame) => {
                    endpoint.before_wait(self);
                    return TurnEnd::Ended(self.on_close(frame.as_ref()), Finish::Linger);
                }
                Received::Failed(error) => {
                    endpoint.before_wait(self);
                    let (end, finish) = self.close_with_error(error);
                    return TurnEnd::Ended(end, finish);
                }
            }
        }
        TurnEnd::Yield
    }

    /// Waits while the endpoint wants no messages. epoll(7) reports a reset connection even to a session that
    /// waits for nothing; without a look at the error it would report it again and again.
    fn wait_without_reading(&self) -> TurnEnd {
        match self.handle.writer().socket().take_error() {
            Ok(None) => TurnEnd::Wait(Interest::Nothing),
            Ok(Some(error)) | Err(error) => TurnEnd::Ended(self.io_failed(&error), Finish::Close),
        }
    }

    /// Returns what keeps the endpoint from being called: owed bytes, or the end of the session.
    fn obstacle(&mut self) -> Option<TurnEnd> {
        let failed =
            |session: &Self, error: &io::Error| TurnEnd::Ended(session.io_failed(error), Finish::Close);
        if let Some(error) = self.send_error.take() {
            return Some(failed(self, &error));
        }
        let writer = self.handle.writer();
        if writer.has_unsent() || self.dropping.is_some() {
            match writer.flush() {
                Ok(true) => {}
                Ok(false) if writer.phase() == Phase::Aborted => {}
                Ok(false) => return Some(TurnEnd::Wait(Interest::Write)),
                Err(error) => return Some(failed(self, &error)),
            }
        }
        if self.handle.phase() == Phase::Aborted {
            return Some(TurnEnd::Ended(self.end_without_reply(), Finish::Close));
        }
        if let Some(mode) = self.dropping {
            let finish = if mode == DropMode::Rst { Finish::Reset } else { Finish::Linger };
            return Some(TurnEnd::Ended(SessionEnd::Dropped, finish));
        }
        (self.handle.phase() > Phase::Open).then(|| self.await_close())
    }

    /// Does what the endpoint asked for.
    fn apply(&mut self, next: Next) {
        match next {
            Next::Continue => {}
            Next::Close(code, reason) => self.close(code, reason),
            Next::Drop(mode) => self.dropping = Some(mode),
        }
    }

    /// Returns the next data message if it has arrived.
    fn next_message(&mut self) -> Received {
        loop {
            match self.context.read(&mut self.transport) {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    let info = self.transport.next_message_info();
                    match self.codec.decode(message, info, &mut self.memory) {
                        Ok(message) => {
                            self.count_received(&message);
                            return Received::Message(message);
                        }
                        Err(error) => return Received::Failed(error),
                    }
                }
                Ok(Message::Ping(_)) => self.handle.counters().pings_in.add(1),
                Ok(Message::Pong(_)) => self.handle.counters().pongs_in.add(1),
                Ok(Message::Close(frame)) => return Received::Close(frame),
                // tungstenite never returns a raw frame from a read.
                Ok(Message::Frame(_)) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Received::Nothing;
                }
                Err(error) => return Received::Failed(error),
            }
        }
    }

    /// Ends a session that needs more memory than the server has for it.
    fn close_for_memory(&mut self) -> TurnEnd {
        if self.handle.phase() > Phase::Open {
            return TurnEnd::Ended(self.end_without_reply(), Finish::Linger);
        }
        let (end, finish) = self.close_with_error(Error::Io(io::ErrorKind::OutOfMemory.into()));
        TurnEnd::Ended(end, finish)
    }

    /// Discards messages until the peer replies to a Close of the server.
    fn await_close(&mut self) -> TurnEnd {
        let end = self.end_without_reply();
        for _ in 0..turn_steps() {
            match self.context.read(&mut self.transport) {
                Ok(Message::Close(_)) => return TurnEnd::Ended(self.finish_close(end), Finish::Linger),
                Ok(Message::Text(_) | Message::Binary(_)) => {
                    self.transport.next_message_info();
                }
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return TurnEnd::Wait(Interest::Read);
                }
                Err(_) => return TurnEnd::Ended(end, Finish::Linger),
            }
        }
        TurnEnd::Yield
    }

    /// Returns how a session ends in which the server has sent a Close, or was told to, and the peer has not
    /// replied.
    fn end_without_reply(&self) -> SessionEnd {
        let ended_here = self.closed_as.clone().or_else(|| self.termination_end());
        ended_here.unwrap_or(SessionEnd::AbnormalClosure)
    }

    /// Sets the time at which tungstenite's buffers are released, or releases them when it has come.
    fn release_buffers_if_due(&mut self) {
        let Some(time) = self.release_buffers_at else { return };
        let now = Instant::now();
        if now < time {
            return;
        }
        // The session has received a large message since the time was set.
        let used = std::mem::take(&mut self.large_buffers_used);
        self.release_buffers_at =
            if used || !self.release_buffers() { Some(now + buffer_idle_timeout()) } else { None };
    }

    /// Notes that tungstenite's buffers have grown to the size of a large message.
    pub(super) fn note_large_buffers(&mut self) {
        self.large_buffers_used = true;
        if self.release_buffers_at.is_none() {
            self.release_buffers_at = Some(Instant::now() + buffer_idle_timeout());
        }
    }
}
