//! Messages over TCP alone, for `tcp://` URLs: a server that sends every byte back is an echo endpoint. What it costs is
//! the floor for any WebSocket server on the same machine.
//!
//! A message is a byte for its kind, one that is zero, its length in four, and itself: as many bytes around it as a
//! client's small WebSocket frame has.

use super::{payload::Kind, wire::Wire};
use std::io::Read;
use tungstenite::{
    Error, Message, Result,
    error::{CapacityError, ProtocolError},
    protocol::WebSocketConfig,
};

/// Bytes before a message.
const HEADER: usize = 6;

/// What stands before a message.
pub(super) fn header(kind: Kind, [head, tail]: [&[u8]; 2]) -> [u8; HEADER] {
    // Messages are at most 256 MiB.
    let [a, b, c, d] = u32::try_from(head.len() + tail.len()).unwrap_or(u32::MAX).to_be_bytes();
    [if kind == Kind::Text { 1 } else { 2 }, 0, a, b, c, d]
}

/// A TCP connection that carries messages.
#[derive(Debug)]
pub(super) struct Plain {
    wire: Wire,
    /// What came in and was not taken yet starts at `taken` and ends at `filled`.
    input: Vec<u8>,
    taken: usize,
    filled: usize,
    config: WebSocketConfig,
    closing: bool,
}

impl Plain {
    pub(super) fn new(wire: Wire, config: WebSocketConfig) -> Self {
        let input = vec![0; config.read_buffer_size];
        Self { wire, input, taken: 0, filled: 0, config, closing: false }
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(super) fn wire_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }

    pub(super) fn read(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            let Some(room) = self.input.get_mut(self.filled..) else { return Err(Error::ConnectionClosed) };
            let length = self.wire.read(room)?;
            if length == 0 {
                let lost = Error::Protocol(ProtocolError::ResetWithoutClosingHandshake);
                return Err(if self.closing { Error::ConnectionClosed } else { lost });
            }
            self.filled += length;
        }
    }

    /// The next message, if it is here whole; else there is room for more of it afterwards.
    fn take(&mut self) -> Result<Option<Message>> {
        let waiting = self.input.get(self.taken..self.filled).unwrap_or_default();
        let mut needed = HEADER;
        if let Some(&[kind, _, a, b, c, d]) = waiting.first_chunk::<HEADER>() {
            let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            let max_size = self.config.max_message_size.unwrap_or(usize::MAX);
            if size > max_size {
                return Err(Error::Capacity(CapacityError::MessageTooLong { size, max_size }));
            }
            needed += size;
            if let Some(body) = waiting.get(HEADER..needed) {
                let message = if kind == 1 {
                    Message::text(String::from_utf8(body.to_vec())?)
                } else {
                    Message::binary(body.to_vec())
                };
                self.taken += needed;
                return Ok(Some(message));
            }
        }
        // Nothing whole is left: move it to the front.
        if self.taken > 0 {
            self.input.copy_within(self.taken..self.filled, 0);
            self.filled -= self.taken;
            self.taken = 0;
        }
        if self.input.len() < needed {
            self.input.resize(needed, 0);
        }
        Ok(None)
    }

    /// The end of what we send; the server answers with the end of what it sends.
    pub(super) fn close(&mut self) -> Result<()> {
        self.closing = true;
        self.wire.finish_writing()?;
        Ok(())
    }
}
