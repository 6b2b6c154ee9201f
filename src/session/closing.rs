//! The end of a session: closing handshakes, protocol errors and I/O errors.

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
    /// Sends a Close with `code` and `reason` and blocks until the peer's Close arrives or the connection ends. Returns
    /// how the session ended. A reason longer than 123 bytes is truncated (RFC 6455, 5.5).
    pub fn close(&mut self, code: u16, reason: &str) -> SessionEnd {
        let result = self.handle.writer().close(code, reason);
        self.handle.advance_to(Phase::Closing);
        match result {
            Ok(true) => self.await_close(SessionEnd::by_server(code, reason)),
            Ok(false) => self.await_queued_close(),
            Err(error) => self.close_with_error(Error::Io(error)),
        }
    }

    /// Blocks until the peer replies to a Close that another thread queued.
    pub(super) fn await_queued_close(&mut self) -> SessionEnd {
        self.handle.advance_to(Phase::Closing);
        let end = self.termination_end().unwrap_or(SessionEnd::AbnormalClosure);
        self.await_close(end)
    }

    /// Checks whether another thread has terminated or aborted the session. If so, ends it: discards messages until the
    /// peer's Close, or does nothing more after an abort.
    ///
    /// # Errors
    /// Returns how the session ended, if it did.
    pub(super) fn check_terminated(&mut self) -> Result<(), SessionEnd> {
        if self.handle.is_aborted() {
            return Err(self.termination_end().unwrap_or(SessionEnd::AbnormalClosure));
        }
        match self.handle.termination_reason() {
            Some(_) => Err(self.await_queued_close()),
            None => Ok(()),
        }
    }

    /// Handles a received Close. Replies to it, unless it is the reply to a Close of the server.
    pub(super) fn on_close(&mut self, frame: Option<&CloseFrame>) -> SessionEnd {
        let reason = frame.map_or("", |frame| frame.reason.as_str());
        let code = self.transport.received_close_code().unwrap_or(NO_CODE);
        if frame.is_some_and(|frame| u16::from(frame.code) != code) {
            // The frame inspector rewrote the code for tungstenite. With this reply queued, the frame writer
            // discards the one of tungstenite. If this fails, the flush below fails as well.
            let _ = self.handle.writer().close(code, reason);
        }
        let end = match self.termination_end() {
            Some(end) => mark_clean(end),
            None => SessionEnd::Closed { by: Side::Client, code, reason: reason.to_owned(), clean: true },
        };
        self.finish_close();
        end
    }

    /// Discards messages until the peer replies to a Close of the server. Returns `end`, marked clean if it did.
    fn await_close(&mut self, end: SessionEnd) -> SessionEnd {
        loop {
            match self.context.read(&mut self.transport) {
                Ok(Message::Close(_)) => {
                    self.finish_close();
                    return mark_clean(end);
                }
                Ok(_) if self.handle.is_aborted() => return end,
                Ok(_) => {}
                Err(_) => {
                    self.linger();
                    return end;
                }
            }
        }
    }

    /// Writes tungstenite's reply to a received Close, then lingers.
    fn finish_close(&mut self) {
        // `flush` fails with ConnectionClosed when the reply is written.
        while self.context.flush(&mut self.transport).is_ok() {}
        self.linger();
    }

    /// Ends the session after a read error. Sends the matching Close unless the connection failed or another Close
    /// was sent before. Blocks as [`linger`](Self::linger) does.
    pub(super) fn close_with_error(&mut self, error: Error) -> SessionEnd {
        let (code, reason) = match error {
            Error::Io(error) => match violation_in(&error) {
                Some(violation) => (violation.close_code().into(), violation.to_string()),
                None => return self.io_failed(&error),
            },
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                return self.termination_end().unwrap_or(SessionEnd::AbnormalClosure);
            }
            Error::Protocol(error) => (1002, error.to_string()),
            Error::Utf8(_) => (1007, "text message is not valid UTF-8".to_owned()),
            Error::Capacity(_) => (1009, format!("message exceeds {} bytes", self.config.max_message)),
            error => (1011, error.to_string()),
        };
        let end = match self.handle.writer().close(code, &reason) {
            Ok(true) => SessionEnd::by_server(code, reason),
            // Another thread queued a Close before, or a write failed before.
            Ok(false) => self.termination_end().unwrap_or(SessionEnd::AbnormalClosure),
            Err(error) => return self.io_failed(&error),
        };
        self.transport.linger_after_error();
        end
    }

    /// Returns the end of a session whose connection failed with `error`.
    pub(super) fn io_failed(&self, error: &io::Error) -> SessionEnd {
        debug!(session = self.handle.id(); "#{} I/O error: {error}", self.handle.id());
        self.termination_end().unwrap_or(SessionEnd::AbnormalClosure)
    }

    /// Returns how another thread ended the session, or `None` if none did.
    fn termination_end(&self) -> Option<SessionEnd> {
        let termination_reason = self.handle.termination_reason()?;
        Some(match termination_reason {
            TerminationReason::WriteStalled => SessionEnd::Aborted,
            TerminationReason::HandshakeTimeout => SessionEnd::HttpResponse(408),
            TerminationReason::Shutdown
            | TerminationReason::Keepalive
            | TerminationReason::TooSlow
            | TerminationReason::Idle
            | TerminationReason::MaxAge
            | TerminationReason::MessageTimeout => {
                let (code, reason) = termination_reason.close_code_and_reason();
                SessionEnd::by_server(code, reason)
            }
        })
    }

    /// Shuts down the sending side, then blocks until the peer ends its side or the supervisor aborts the connection.
    pub(super) fn linger(&mut self) {
        self.transport.linger();
    }
}

/// Returns the violation that the transport reported as a read error, if it is one.
fn violation_in(error: &io::Error) -> Option<Violation> {
    error.get_ref()?.downcast_ref().copied()
}

/// Marks the closing handshake as complete.
fn mark_clean(mut end: SessionEnd) -> SessionEnd {
    if let SessionEnd::Closed { clean, .. } = &mut end {
        *clean = true;
    }
    end
}
