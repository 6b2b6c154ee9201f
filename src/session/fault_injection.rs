//! What a well-behaved server never does: parts of messages on demand, bytes against the RFC, sudden ends.

use std::time::Duration;

use socket2::SockRef;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::end::SessionEnd;
use super::websocket::WebSocketSession;
use crate::transport::write_queue::single_frame_header;

/// How a connection ends without a closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropMode {
    /// With a FIN: the peer sees an end of stream.
    Fin,
    /// With a RST: the peer sees a reset.
    Rst,
}

impl WebSocketSession {
    /// Sends one frame of a fragmented message (RFC 6455, 5.4). The first one carries the kind, those after it are
    /// [`Data::Continue`], and `last` ends the message.
    pub fn send_fragment(&mut self, kind: Data, last: bool, part: &[u8]) -> Result<(), SessionEnd> {
        let header = FrameHeader { is_final: last, ..single_frame_header(OpCode::Data(kind)) };
        let sent = self.session.writer().send(&header, b"", part, false);
        self.check_sent(sent)?;
        let counters = self.session.counters();
        counters.bytes_out.add(part.len() as u64);
        counters.messages_out.add(u64::from(last));
        Ok(())
    }

    /// Sends an empty Ping.
    pub fn send_ping(&mut self) -> Result<(), SessionEnd> {
        let header = single_frame_header(OpCode::Control(Control::Ping));
        let sent = self.session.writer().send(&header, b"", b"", false);
        self.check_sent(sent)?;
        self.session.counters().pings_out.add(1);
        Ok(())
    }

    /// Sends bytes that need not be a frame that the RFC allows.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), SessionEnd> {
        self.session.writer().write_raw_frame(bytes).map_err(|error| self.io_failed(&error))
    }

    /// Leaves the peer's Pings without an answer from now on.
    pub fn suppress_pongs(&mut self) {
        self.transport.suppress_pongs();
    }

    /// Ends the connection without a closing handshake. What is owed goes out first.
    pub fn drop_connection(&mut self, how: DropMode) -> SessionEnd {
        if let Err(error) = self.session.writer().flush() {
            return self.io_failed(&error);
        }
        match how {
            DropMode::Fin => self.linger(),
            DropMode::Rst => {
                // A close without lingering resets the connection; a shutdown before it would send a FIN.
                if SockRef::from(self.session.writer().socket()).set_linger(Some(Duration::ZERO)).is_ok() {
                    self.session.reset_on_close();
                }
            }
        }
        SessionEnd::Dropped
    }
}
