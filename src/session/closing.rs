//! The end of a session: closing handshakes, protocol errors and I/O errors.

use std::io;

use log::debug;
use tungstenite::Error;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::CloseFrame;

use super::end::{NO_CODE, OUT_OF_MEMORY, SessionEnd, Side};
use super::turn::Finish;
use super::websocket::WebSocketSession;
use crate::protocol::violation::Violation;
use crate::transport::termination::TerminationReason;

impl WebSocketSession {
    /// Sends a Close of the endpoint. The session then discards messages until the peer's Close.
    pub(crate) fn close(&mut self, code: u16, reason: String) {
        let result = self.handle.writer().close(code, &reason);
        if self.note_sent(result) {
            self.closed_as = Some(SessionEnd::by_server(code, reason));
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
        let end = SessionEnd::Closed { by: Side::Client, code, reason: reason.to_owned(), clean: true };
        let end = self.termination_end().unwrap_or(end);
        self.finish_close(end)
    }

    /// Writes tungstenite's reply to a received Close. Returns `end`, marked as clean.
    pub(super) fn finish_close(&mut self, mut end: SessionEnd) -> SessionEnd {
        // `flush` fails with ConnectionClosed when the reply is written.
        while self.context.flush(&mut self.transport).is_ok() {}
        if let SessionEnd::Closed { clean, .. } = &mut end {
            *clean = true;
        }
        end
    }

    /// Returns how the session ends after a read error. Sends the matching Close unless the connection failed
    /// or another Close was sent before.
    pub(super) fn close_with_error(&mut self, error: Error) -> (SessionEnd, Finish) {
        let (code, reason) = match error {
            Error::Io(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                (1013, OUT_OF_MEMORY.to_owned())
            }
            Error::Io(error) => match violation_in(&error) {
                Some(violation) => (violation.close_code().into(), violation.to_string()),
                None => return (self.io_failed(&error), Finish::Close),
            },
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                // The peer may still read what is owed to it.
                return (self.termination_end().unwrap_or(SessionEnd::AbnormalClosure), Finish::Linger);
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
            Err(error) => return (self.io_failed(&error), Finish::Close),
        };
        (end, Finish::LingerAfterError)
    }

    /// Returns the end of a session whose connection failed with `error`.
    pub(super) fn io_failed(&self, error: &io::Error) -> SessionEnd {
        debug!(session = self.handle.id(); "#{} I/O error: {error}", self.handle.id());
        self.termination_end().unwrap_or(SessionEnd::AbnormalClosure)
    }

    /// Returns how another thread ended the session, or `None` if none did.
    pub(super) fn termination_end(&self) -> Option<SessionEnd> {
        let termination_reason = self.handle.termination_reason()?;
        Some(match termination_reason {
            TerminationReason::WriteStalled => SessionEnd::Aborted,
            TerminationReason::HandshakeTimeout => SessionEnd::HttpResponse(408),
            TerminationReason::QueueTimeout => SessionEnd::HttpResponse(503),
            TerminationReason::Shutdown
            | TerminationReason::Restart
            | TerminationReason::Keepalive
            | TerminationReason::TooSlow
            | TerminationReason::Idle
            | TerminationReason::MaxAge
            | TerminationReason::MessageTimeout
            | TerminationReason::RoomsLost
            | TerminationReason::NotPublished
            | TerminationReason::RoomMemory => {
                let (code, reason) = termination_reason.close_code_and_reason();
                SessionEnd::by_server(code, reason)
            }
        })
    }
}

/// Returns the violation that the transport reported as a read error, if it is one.
fn violation_in(error: &io::Error) -> Option<Violation> {
    error.get_ref()?.downcast_ref().copied()
}
