//! Behaviour that test endpoints need: single fragments, bytes that violate the RFC.

use tungstenite::Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::websocket::WebSocketSession;
use crate::transport::write_queue::single_frame_header;

impl WebSocketSession {
    /// Sends one frame of a fragmented message (RFC 6455, 5.4). `kind` is the message kind for the first
    /// frame and [`Data::Continue`] for the others. `last` marks the last frame.
    pub fn send_fragment(&mut self, kind: Data, last: bool, payload: &Bytes) {
        let header = FrameHeader { is_final: last, ..single_frame_header(OpCode::Data(kind)) };
        let result = self.handle.writer().send(&header, b"", payload, false);
        if self.note_sent(result) {
            let counters = self.handle.counters();
            counters.bytes_out.add(payload.len() as u64);
            counters.messages_out.add(u64::from(last));
        }
    }

    /// Sends an empty Ping.
    pub fn send_ping(&mut self) {
        let header = single_frame_header(OpCode::Control(Control::Ping));
        let result = self.handle.writer().send(&header, b"", &Bytes::new(), false);
        if self.note_sent(result) {
            self.handle.counters().pings_out.add(1);
        }
    }

    /// Sends bytes as they are. They need not be a valid frame.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let result = self.handle.writer().write_raw_frame(bytes);
        self.note_sent(result.map(|()| true));
    }

    /// Stops sending Pongs for the peer's Pings.
    pub fn suppress_pongs(&mut self) {
        self.transport.suppress_pongs();
    }
}
