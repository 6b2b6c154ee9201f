//! Behaviour that test endpoints need: single fragments, bytes that violate the RFC, and dropped connections.

use std::time::Duration;

use socket2::SockRef;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::end::SessionEnd;
use super::websocket::WebSocketSession;
use crate::transport::write_queue::single_frame_header;

/// How a connection is dropped without a closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropMode {
    /// With a FIN: the peer reads an end of stream.
    Fin,
    /// With a RST: the peer gets a connection reset.
    Rst,
}

impl WebSocketSession {
    /// Sends one frame of a fragmented message (RFC 6455, 5.4). `kind` is the message kind for the first frame and
    /// [`Data::Continue`] for the others. `last` marks the last frame.
    ///
    /// # Errors
    /// The end of the session, if it has ended.
    pub fn send_fragment(&mut self, kind: Data, last: bool, payload: &[u8]) -> Result<(), SessionEnd> {
        let header = FrameHeader { is_final: last, ..single_frame_header(OpCode::Data(kind)) };
        let result = self.handle.writer().send(&header, b"", payload, false);
        self.check_sent(result)?;
        let counters = self.handle.counters();
        counters.bytes_out.add(payload.len() as u64);
        counters.messages_out.add(u64::from(last));
        Ok(())
    }

    /// Sends an empty Ping.
    ///
    /// # Errors
    /// The end of the session, if it has ended.
    pub fn send_ping(&mut self) -> Result<(), SessionEnd> {
        let header = single_frame_header(OpCode::Control(Control::Ping));
        let result = self.handle.writer().send(&header, b"", b"", false);
        self.check_sent(result)?;
        self.handle.counters().pings_out.add(1);
        Ok(())
    }

    /// Sends bytes as they are. They need not be a valid frame.
    ///
    /// # Errors
    /// The end of the session, if it has ended.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), SessionEnd> {
        self.handle.writer().write_raw_frame(bytes).map_err(|error| self.io_failed(&error))
    }

    /// Stops sending Pongs for the peer's Pings.
    pub fn suppress_pongs(&mut self) {
        self.transport.suppress_pongs();
    }

    /// Sends all unsent bytes, then ends the connection without a closing handshake. Blocks until the kernel has
    /// accepted the bytes and, with [`DropMode::Fin`], until the peer has ended its side or the supervisor aborts the
    /// connection. With [`DropMode::Rst`] the kernel discards bytes that it has not sent (`SO_LINGER`, socket(7)).
    pub fn drop_connection(&mut self, mode: DropMode) -> SessionEnd {
        if let Err(error) = self.handle.writer().flush() {
            return self.io_failed(&error);
        }
        match mode {
            DropMode::Fin => self.linger(),
            DropMode::Rst => {
                // SO_LINGER 0 makes close(2) send a RST. A shutdown(2) before it would send a FIN.
                if SockRef::from(self.handle.writer().socket()).set_linger(Some(Duration::ZERO)).is_ok() {
                    self.handle.reset_on_close();
                }
            }
        }
        SessionEnd::Dropped
    }
}
