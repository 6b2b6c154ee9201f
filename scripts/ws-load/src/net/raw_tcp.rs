//! Messages over TCP alone, for `tcp://` URLs. A server that sends every byte back is an echo endpoint, and
//! its cost is the lower bound for any WebSocket server on the same machine.
//!
//! A message is one byte for its kind, a zero byte, four bytes of length (big-endian), and the payload: as
//! many bytes of header as a small WebSocket frame of a client.

use super::{client_stream::ClientStream, message_kind::MessageKind};
use std::io::Read;
use tungstenite::{
    Error, Message, Result,
    error::{CapacityError, ProtocolError},
    protocol::WebSocketConfig,
};

/// Length of the header, in bytes.
const HEADER: usize = 6;

/// Returns the header of a message whose payload is given in two parts.
pub(crate) fn header(kind: MessageKind, [head, tail]: [&[u8]; 2]) -> [u8; HEADER] {
    // Messages have at most 256 MiB.
    let [a, b, c, d] = u32::try_from(head.len() + tail.len()).unwrap_or(u32::MAX).to_be_bytes();
    [if kind == MessageKind::Text { 1 } else { 2 }, 0, a, b, c, d]
}

/// A TCP connection that carries messages.
#[derive(Debug)]
pub(crate) struct RawTcp {
    stream: ClientStream,
    /// Received bytes that are not part of a returned message lie between `consumed` and `filled`.
    input: Vec<u8>,
    consumed: usize,
    filled: usize,
    config: WebSocketConfig,
    closing: bool,
}

impl RawTcp {
    pub(crate) fn new(stream: ClientStream, config: WebSocketConfig) -> Self {
        let input = vec![0; config.read_buffer_size];
        Self { stream, input, consumed: 0, filled: 0, config, closing: false }
    }

    pub(crate) fn stream(&self) -> &ClientStream {
        &self.stream
    }

    pub(crate) fn stream_mut(&mut self) -> &mut ClientStream {
        &mut self.stream
    }

    /// Reads the next message. The end of stream is `ConnectionClosed` after [`RawTcp::close`], and an error
    /// before it.
    pub(crate) fn read(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = self.next_buffered()? {
                return Ok(message);
            }
            let Some(room) = self.input.get_mut(self.filled..) else { return Err(Error::ConnectionClosed) };
            let length = self.stream.read(room)?;
            if length == 0 {
                let lost = Error::Protocol(ProtocolError::ResetWithoutClosingHandshake);
                return Err(if self.closing { Error::ConnectionClosed } else { lost });
            }
            self.filled += length;
        }
    }

    /// Returns the next message if it is complete. Otherwise makes room in the buffer for more of it.
    fn next_buffered(&mut self) -> Result<Option<Message>> {
        let buffered = self.input.get(self.consumed..self.filled).unwrap_or_default();
        let mut needed = HEADER;
        if let Some(&[kind, _, a, b, c, d]) = buffered.first_chunk::<HEADER>() {
            let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            let max_size = self.config.max_message_size.unwrap_or(usize::MAX);
            if size > max_size {
                return Err(Error::Capacity(CapacityError::MessageTooLong { size, max_size }));
            }
            needed += size;
            if let Some(body) = buffered.get(HEADER..needed) {
                let message = if kind == 1 {
                    Message::text(String::from_utf8(body.to_vec())?)
                } else {
                    Message::binary(body.to_vec())
                };
                self.consumed += needed;
                return Ok(Some(message));
            }
        }
        if self.consumed > 0 {
            self.input.copy_within(self.consumed..self.filled, 0);
            self.filled -= self.consumed;
            self.consumed = 0;
        }
        if self.input.len() < needed {
            self.input.resize(needed, 0);
        }
        Ok(None)
    }

    /// Sends FIN. The server is expected to send FIN in turn.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.closing = true;
        self.stream.shutdown_write()?;
        Ok(())
    }
}
