//! How a session ends: the closing handshake begun by either side, a breach of the protocol, a lost connection.

use std::io;

use log::debug;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, Message};

use super::end::{NO_CODE, SessionEnd, Side};
use super::websocket::WebSocketSession;
use crate::protocol::violation::Violation;
use crate::transport::connection::Phase;
use crate::transport::termination::TerminationReason;

impl WebSocketSession {
    /// Closes the session with a code and a reason of at most 123 bytes, waits for the peer's answer, and says how
    /// it went.
    pub fn close(&mut self, code: u16, reason: &str) -> SessionEnd {
        let first = self.session.writer().close(code, reason);
        self.session.advance_to(Phase::Closing);
        match first {
            Ok(true) => self.await_close(SessionEnd::by_server(code, reason)),
            Ok(false) => self.await_posted_close(),
            Err(error) => self.close_with_error(Error::Io(error)),
        }
    }

    /// Another thread's Close has gone out: nothing more can be said, and the peer's answer is awaited.
    pub(super) fn await_posted_close(&mut self) -> SessionEnd {
        self.session.advance_to(Phase::Closing);
        let ended = self.end_from_termination().unwrap_or(SessionEnd::AbnormalClosure);
        self.await_close(ended)
    }

    /// The peer's Close has come: it is answered (tungstenite has the answer ready), unless it is itself an answer.
    pub(super) fn answer_close(&mut self, frame: Option<&CloseFrame>) -> SessionEnd {
        let (code, reason) = frame.map_or((NO_CODE, ""), |frame| (frame.code.into(), frame.reason.as_str()));
        let ended = match self.end_from_termination() {
            Some(ended) => mark_clean(ended),
            None => SessionEnd::Closed { by: Side::Client, code, reason: reason.to_owned(), clean: true },
        };
        // tungstenite says ConnectionClosed when its answer is out of its hands.
        while self.protocol.flush(&mut self.transport).is_ok() {}
        self.linger();
        ended
    }

    /// Reads until the peer answers a Close that has gone out, discarding what it still says.
    fn await_close(&mut self, ended: SessionEnd) -> SessionEnd {
        loop {
            match self.protocol.read(&mut self.transport) {
                Ok(Message::Close(_)) => {
                    while self.protocol.flush(&mut self.transport).is_ok() {}
                    self.linger();
                    return mark_clean(ended);
                }
                Ok(_) => {}
                Err(_) => {
                    self.linger();
                    return ended;
                }
            }
        }
    }

    /// The stream cannot be read on: says why, where the peer is still there to hear it.
    pub(super) fn close_with_error(&mut self, error: Error) -> SessionEnd {
        let (code, reason) = match error {
            Error::Io(error) => match violation_in(&error) {
                Some(violation) => (violation.close_code().into(), violation.to_string()),
                None => return self.io_failed(&error),
            },
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                return self.end_from_termination().unwrap_or(SessionEnd::AbnormalClosure);
            }
            Error::Protocol(error) => (1002, error.to_string()),
            Error::Utf8(_) => (1007, "a text message has to be UTF-8".to_owned()),
            Error::Capacity(_) => (1009, format!("a message may have {} bytes", self.config.max_message)),
            error => (1011, error.to_string()),
        };
        let ended = match self.session.writer().close(code, &reason) {
            Ok(true) => SessionEnd::by_server(code, reason),
            // The supervisor's Close went out first, or the peer is gone.
            Ok(false) => self.end_from_termination().unwrap_or(SessionEnd::AbnormalClosure),
            Err(error) => return self.io_failed(&error),
        };
        self.linger();
        ended
    }

    /// The connection itself failed.
    pub(super) fn io_failed(&self, error: &io::Error) -> SessionEnd {
        debug!("#{} io_failed: {error}", self.session.id());
        self.end_from_termination().unwrap_or(SessionEnd::AbnormalClosure)
    }

    /// What another thread did to this session, if any did anything.
    fn end_from_termination(&self) -> Option<SessionEnd> {
        let termination_reason = self.session.termination_reason()?;
        Some(match termination_reason {
            TerminationReason::Shutdown | TerminationReason::Keepalive | TerminationReason::TooSlow => {
                let (code, reason) = termination_reason.close_code_and_reason();
                SessionEnd::by_server(code, reason)
            }
            TerminationReason::WriteStalled => SessionEnd::Aborted,
            TerminationReason::HandshakeTimeout => SessionEnd::HttpResponse(408),
        })
    }

    /// Everything has been said: ends the sending half, and waits for the peer to end the other.
    pub(super) fn linger(&mut self) {
        self.transport.linger();
    }
}

/// The breach of the protocol that the transport reports as an error of reading.
fn violation_in(error: &io::Error) -> Option<Violation> {
    error.get_ref()?.downcast_ref().copied()
}

/// The same end, now that the other side has answered.
fn mark_clean(mut ended: SessionEnd) -> SessionEnd {
    if let SessionEnd::Closed { clean, .. } = &mut ended {
        *clean = true;
    }
    ended
}
