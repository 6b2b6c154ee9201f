//! What a well-behaved server never does: parts of messages on demand, bytes against the RFC, sudden ends.

use std::time::Duration;

use socket2::SockRef;
use tungstenite::Message;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::Conversation;
use crate::ended::Ended;
use crate::transport::queue::header_of;

/// How a connection ends without a closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// With a FIN: the peer sees an end of stream.
    Fin,
    /// With a RST: the peer sees a reset.
    Rst,
}

impl Conversation {
    /// Sends one frame of a fragmented message (RFC 6455, 5.4). The first one carries the kind, those after it are
    /// [`Data::Continue`], and `last` ends the message.
    pub fn send_fragment(&mut self, kind: Data, last: bool, part: &[u8]) -> Result<(), Ended> {
        let header = FrameHeader { is_final: last, ..header_of(OpCode::Data(kind)) };
        let sent = self.session.outbox().send(&header, b"", part, false);
        self.taken(sent)?;
        let counters = self.session.counters();
        counters.bytes_out.add(part.len() as u64);
        counters.messages_out.add(u64::from(last));
        Ok(())
    }

    /// Sends an empty Ping.
    pub fn send_ping(&mut self) -> Result<(), Ended> {
        let header = header_of(OpCode::Control(Control::Ping));
        let sent = self.session.outbox().send(&header, b"", b"", false);
        self.taken(sent)?;
        self.session.counters().pings_out.add(1);
        Ok(())
    }

    /// Sends bytes that need not be a frame that the RFC allows.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.session.outbox().append(bytes).map_err(|error| self.lost(&error))
    }

    /// Leaves the peer's Pings without an answer from now on.
    pub fn mute_pongs(&mut self) {
        self.transport.mute_pongs();
    }

    /// Ends the connection without a closing handshake. What is owed goes out first.
    pub fn drop_connection(&mut self, how: HangUp) -> Ended {
        if let Err(error) = self.session.outbox().flush() {
            return self.lost(&error);
        }
        match how {
            HangUp::Fin => self.linger(),
            HangUp::Rst => {
                // A close without lingering resets the connection; a shutdown before it would send a FIN.
                if SockRef::from(self.session.outbox().socket()).set_linger(Some(Duration::ZERO)).is_ok() {
                    self.session.abandon();
                }
            }
        }
        Ended::Dropped
    }
}

/// The kind of a data message and its payload.
pub(crate) fn parts_of(message: &Message) -> (Data, &[u8]) {
    match message {
        Message::Text(text) => (Data::Text, text.as_ref()),
        Message::Binary(bytes) => (Data::Binary, bytes),
        // Nothing else is ever received as a message.
        _ => (Data::Binary, b""),
    }
}
