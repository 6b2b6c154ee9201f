//! What a conversation runs over: a WebSocket, or the same socket without one.

use super::{
    context::WRITE_BUFFER,
    payload::Kind,
    plain::{self, Plain},
    wire::Wire,
};
use std::io::Write;
use tungstenite::{
    Message, Result, WebSocket,
    protocol::{
        CloseFrame,
        frame::coding::{Data, OpCode},
    },
};

/// A channel for messages. The plain one answers in tungstenite's words, so that nobody else needs to know.
#[derive(Debug)]
pub(super) enum Channel {
    Web(Box<WebSocket<Wire>>),
    /// The floor that WebSocket endpoints are compared with.
    Plain(Box<Plain>),
}

impl Channel {
    pub(super) fn wire(&self) -> &Wire {
        match self {
            Self::Web(websocket) => websocket.get_ref(),
            Self::Plain(plain) => plain.wire(),
        }
    }

    pub(super) fn wire_mut(&mut self) -> &mut Wire {
        match self {
            Self::Web(websocket) => websocket.get_mut(),
            Self::Plain(plain) => plain.wire_mut(),
        }
    }

    pub(super) fn read(&mut self) -> Result<Message> {
        match self {
            Self::Web(websocket) => websocket.read(),
            Self::Plain(plain) => plain.read(),
        }
    }

    /// Gathers a message, its payload in two parts.
    pub(super) fn gather(&mut self, kind: Kind, compressed: bool, parts: [&[u8]; 2]) {
        match self {
            Self::Web(websocket) => {
                let data = if kind == Kind::Text { Data::Text } else { Data::Binary };
                websocket.get_mut().outgoing().push_frame(OpCode::Data(data), compressed, parts);
            }
            Self::Plain(plain) => {
                let outgoing = plain.wire_mut().outgoing();
                outgoing.push([&plain::header(kind, parts), b""]);
                outgoing.push(parts);
            }
        }
    }

    /// Sends what has gathered if that is much, although more is about to follow.
    pub(super) fn send_if_full(&mut self) -> Result<()> {
        let wire = self.wire_mut();
        if wire.outgoing().waiting().len() > WRITE_BUFFER { Ok(wire.send_segments()?) } else { Ok(()) }
    }

    /// Sends everything; what the socket does not take now stays here.
    pub(super) fn flush(&mut self) -> Result<()> {
        match self {
            Self::Web(websocket) => websocket.flush(),
            Self::Plain(plain) => Ok(plain.wire_mut().flush()?),
        }
    }

    pub(super) fn close(&mut self, frame: CloseFrame) -> Result<()> {
        match self {
            Self::Web(websocket) => websocket.close(Some(frame)),
            Self::Plain(plain) => plain.close(),
        }
    }
}
