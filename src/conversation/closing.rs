//! How a session ends: the closing handshake begun by either side, a breach of the protocol, a lost connection.

use std::io;

use log::debug;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, Message};

use super::Conversation;
use crate::ended::{Ended, NO_CODE, Side};
use crate::extensions::Violation;
use crate::handle::Phase;
use crate::verdict::Verdict;

impl Conversation {
    /// Closes the session with a code and a reason of at most 123 bytes, waits for the peer's answer, and says how
    /// it went.
    pub fn close(&mut self, code: u16, reason: &str) -> Ended {
        let first = self.session.outbox().close(code, reason);
        self.session.reach(Phase::Closing);
        match first {
            Ok(true) => self.await_close(Ended::by_server(code, reason)),
            Ok(false) => self.sealed(),
            Err(error) => self.fail(Error::Io(error)),
        }
    }

    /// Another thread's Close has gone out: nothing more can be said, and the peer's answer is awaited.
    pub(super) fn sealed(&mut self) -> Ended {
        self.session.reach(Phase::Closing);
        let ended = self.ended_by_supervisor().unwrap_or(Ended::Vanished);
        self.await_close(ended)
    }

    /// The peer's Close has come: it is answered (tungstenite has the answer ready), unless it is itself an answer.
    pub(super) fn answer_close(&mut self, frame: Option<&CloseFrame>) -> Ended {
        let (code, reason) = frame.map_or((NO_CODE, ""), |frame| (frame.code.into(), frame.reason.as_str()));
        let ended = match self.ended_by_supervisor() {
            Some(ended) => answered(ended),
            None => Ended::Closed { by: Side::Client, code, reason: reason.to_owned(), clean: true },
        };
        // tungstenite says ConnectionClosed when its answer is out of its hands.
        while self.protocol.flush(&mut self.transport).is_ok() {}
        self.linger();
        ended
    }

    /// Reads until the peer answers a Close that has gone out, discarding what it still says.
    fn await_close(&mut self, ended: Ended) -> Ended {
        loop {
            match self.protocol.read(&mut self.transport) {
                Ok(Message::Close(_)) => {
                    while self.protocol.flush(&mut self.transport).is_ok() {}
                    self.linger();
                    return answered(ended);
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
    pub(super) fn fail(&mut self, error: Error) -> Ended {
        let (code, reason) = match error {
            Error::Io(error) => match violation_in(&error) {
                Some(violation) => (violation.close_code().into(), violation.to_string()),
                None => return self.lost(&error),
            },
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                return self.ended_by_supervisor().unwrap_or(Ended::Vanished);
            }
            Error::Protocol(error) => (1002, error.to_string()),
            Error::Utf8(_) => (1007, "a text message has to be UTF-8".to_owned()),
            Error::Capacity(_) => (1009, format!("a message may have {} bytes", self.config.max_message)),
            error => (1011, error.to_string()),
        };
        let ended = match self.session.outbox().close(code, &reason) {
            Ok(true) => Ended::by_server(code, reason),
            // The supervisor's Close went out first, or the peer is gone.
            Ok(false) => self.ended_by_supervisor().unwrap_or(Ended::Vanished),
            Err(error) => return self.lost(&error),
        };
        self.linger();
        ended
    }

    /// The connection itself failed.
    pub(super) fn lost(&self, error: &io::Error) -> Ended {
        debug!("#{} lost: {error}", self.session.id());
        self.ended_by_supervisor().unwrap_or(Ended::Vanished)
    }

    /// What another thread did to this session, if any did anything.
    fn ended_by_supervisor(&self) -> Option<Ended> {
        let verdict = self.session.verdict()?;
        Some(match verdict {
            Verdict::Stop | Verdict::Keepalive | Verdict::TooSlow => {
                let (code, reason) = verdict.close();
                Ended::by_server(code, reason)
            }
            Verdict::WriteStalled => Ended::Cut,
            Verdict::HandshakeTimeout => Ended::Answered(408),
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
fn answered(mut ended: Ended) -> Ended {
    if let Ended::Closed { clean, .. } = &mut ended {
        *clean = true;
    }
    ended
}
