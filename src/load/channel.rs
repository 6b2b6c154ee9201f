//! What a conversation runs over: a WebSocket, or the same socket without one.

use super::{plain::Plain, wire::Wire};
use tungstenite::{Message, Result, WebSocket, protocol::CloseFrame};

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

    /// Gathers a message; what the socket does not take now stays here.
    pub(super) fn write(&mut self, message: Message) -> Result<()> {
        match self {
            Self::Web(websocket) => websocket.write(message),
            Self::Plain(plain) => plain.write(&message),
        }
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        match self {
            Self::Web(websocket) => websocket.flush(),
            Self::Plain(plain) => plain.flush(),
        }
    }

    pub(super) fn close(&mut self, frame: CloseFrame) -> Result<()> {
        match self {
            Self::Web(websocket) => websocket.close(Some(frame)),
            Self::Plain(plain) => plain.close(),
        }
    }
}
