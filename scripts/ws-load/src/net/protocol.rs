//! The protocol of a connection: WebSocket, or messages over TCP alone.

use super::{
    client_stream::ClientStream,
    message_kind::MessageKind,
    raw_tcp::{self, RawTcp},
};
use std::io::{ErrorKind, Write};
use tungstenite::{
    Error, Message, Result, WebSocket,
    protocol::{
        CloseFrame,
        frame::coding::{Data, OpCode},
    },
};

/// The send buffer is written when it holds more bytes than this, although more messages follow.
const FLUSH_THRESHOLD: usize = 64 << 10;

/// Sends and receives messages. The variant for TCP returns tungstenite's types, so that its callers do not
/// differ.
#[derive(Debug)]
pub(crate) enum ClientProtocol {
    WebSocket(Box<WebSocket<ClientStream>>),
    /// The lower bound that WebSocket endpoints are compared with.
    RawTcp(Box<RawTcp>),
}

impl ClientProtocol {
    pub(crate) fn stream(&self) -> &ClientStream {
        match self {
            Self::WebSocket(websocket) => websocket.get_ref(),
            Self::RawTcp(raw_tcp) => raw_tcp.stream(),
        }
    }

    pub(crate) fn stream_mut(&mut self) -> &mut ClientStream {
        match self {
            Self::WebSocket(websocket) => websocket.get_mut(),
            Self::RawTcp(raw_tcp) => raw_tcp.stream_mut(),
        }
    }

    /// Reads the next message. Fails with an error for which [`would_block`] holds if none is complete.
    pub(crate) fn read(&mut self) -> Result<Message> {
        match self {
            Self::WebSocket(websocket) => websocket.read(),
            Self::RawTcp(raw_tcp) => raw_tcp.read(),
        }
    }

    /// Appends a message to the send buffer. Its payload is given in two parts.
    pub(crate) fn write_message(&mut self, kind: MessageKind, compressed: bool, parts: [&[u8]; 2]) {
        match self {
            Self::WebSocket(websocket) => {
                let data = if kind == MessageKind::Text { Data::Text } else { Data::Binary };
                websocket.get_mut().send_buffer().push_frame(OpCode::Data(data), compressed, parts);
            }
            Self::RawTcp(raw_tcp) => {
                let send_buffer = raw_tcp.stream_mut().send_buffer();
                send_buffer.push([&raw_tcp::header(kind, parts), b""]);
                send_buffer.push(parts);
            }
        }
    }

    /// Sends whole segments if the send buffer holds more than [`FLUSH_THRESHOLD`]. For use before another
    /// message is appended.
    pub(crate) fn send_if_full(&mut self) -> Result<()> {
        let stream = self.stream_mut();
        if stream.send_buffer().unsent().len() > FLUSH_THRESHOLD {
            Ok(stream.send_segments()?)
        } else {
            Ok(())
        }
    }

    /// Sends everything. What the socket does not accept now stays in the send buffer, and the error is one
    /// for which [`would_block`] holds.
    pub(crate) fn flush(&mut self) -> Result<()> {
        match self {
            Self::WebSocket(websocket) => websocket.flush(),
            Self::RawTcp(raw_tcp) => Ok(raw_tcp.stream_mut().flush()?),
        }
    }

    /// Sends the Close frame, or shuts the write side of a raw connection down.
    pub(crate) fn close(&mut self, frame: CloseFrame) -> Result<()> {
        match self {
            Self::WebSocket(websocket) => websocket.close(Some(frame)),
            Self::RawTcp(raw_tcp) => raw_tcp.close(),
        }
    }
}

/// Returns whether `error` means that the socket is not ready.
pub(crate) fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == ErrorKind::WouldBlock)
}
