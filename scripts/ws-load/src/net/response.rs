//! The head of an HTTP response.

use super::client_stream::ClientStream;
use std::io::{ErrorKind, Read};
use tungstenite::{
    Error, Result,
    error::{CapacityError, ProtocolError},
    handshake::{client::Response, machine::TryParse},
};

/// Longest head that is accepted, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// Bytes that one read receives.
const PIECE: usize = 4 << 10;
/// How every response begins.
const START: &[u8] = b"HTTP/";

/// Reads a response head, however small the pieces are in which it arrives.
#[derive(Debug, Default)]
pub(crate) struct ResponseReader {
    bytes: Vec<u8>,
    is_of_proxy: bool,
}

impl ResponseReader {
    /// Creates a reader that also takes version 1.0 of HTTP, which some proxies use.
    pub(crate) fn of_proxy() -> Self {
        Self { bytes: Vec::new(), is_of_proxy: true }
    }

    /// Reads until the head is complete. Returns it and the bytes that follow it, or `None` if the socket has
    /// no more bytes now.
    ///
    /// # Errors
    /// Those of the stream. A protocol error if the stream ends or the bytes are not HTTP. A capacity error
    /// if the head is longer than 64 KiB.
    pub(crate) fn read(&mut self, stream: &mut ClientStream) -> Result<Option<(Response, Vec<u8>)>> {
        let mut piece = [0; PIECE];
        loop {
            let length = match stream.read(&mut piece) {
                Ok(0) => return Err(Error::Protocol(ProtocolError::HandshakeIncomplete)),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(Error::Io(error)),
            };
            let piece = piece.get(..length).unwrap_or_default();
            self.bytes.extend_from_slice(piece);
            if self.is_of_proxy
                && self.bytes.starts_with(b"HTTP/1.0")
                && let Some(minor) = self.bytes.get_mut(START.len() + 2)
            {
                *minor = b'1';
            }
            if let Some((size, response)) = self.parse(piece)? {
                return Ok(Some((response, self.bytes.split_off(size))));
            }
            if self.bytes.len() > MAX_HEAD {
                let error = CapacityError::MessageTooLong { size: self.bytes.len(), max_size: MAX_HEAD };
                return Err(Error::Capacity(error));
            }
        }
    }

    /// Parses the head after `piece` was appended.
    fn parse(&self, piece: &[u8]) -> Result<Option<(usize, Response)>> {
        let start = self.bytes.get(..START.len()).unwrap_or(&self.bytes);
        // Only the end of a line can complete a head, or show that it is malformed.
        if START.starts_with(start) && !piece.contains(&b'\n') {
            return Ok(None);
        }
        Response::try_parse(&self.bytes)
    }
}
