//! The worker's end of a TLS connection: receives raw bytes outside any lock, and takes the outbox's lock only to
//! decrypt them. So the supervisor can speak while the worker blocks in a read.

use std::io;

use super::socket_reader::SocketReader;

/// Bytes received at a time from a peer that says little.
const SMALL: usize = 2 << 10;

/// Bytes received at a time from a peer that says much: a record of the largest size, and most of another.
const LARGE: usize = 32 << 10;

/// Received bytes on their way into TLS.
#[derive(Debug, Default)]
pub(super) struct TlsReadBuffer {
    /// Where they are received. It grows when a receive fills it, and is given back when little comes.
    buffer: Vec<u8>,
    /// How many have been fed to TLS.
    from: usize,
    /// How many there are.
    to: usize,
}

/// Why there is no TLS session.
#[derive(Debug)]
pub(crate) enum TlsHandshakeError {
    /// The peer speaks something else, and most likely HTTP.
    NotTls,
    /// The peer went, or was cut.
    Disconnected,
    /// The handshake failed; an alert has told the peer.
    Failed(io::Error),
}

impl TlsReadBuffer {
    /// Holds the TLS handshake. Has no deadline of its own: the supervisor cuts a peer that takes too long.
    pub(super) fn handshake(&mut self, reader: &mut SocketReader) -> Result<(), TlsHandshakeError> {
        let mut begun = false;
        loop {
            if self.receive(reader).map_err(|_| TlsHandshakeError::Disconnected)? == 0 {
                return Err(TlsHandshakeError::Disconnected);
            }
            // The first byte of a TLS record is a small number (RFC 8446, 5.1), that of a request a letter.
            if !begun && self.buffer[0].is_ascii_alphabetic() {
                return Err(TlsHandshakeError::NotTls);
            }
            begun = true;
            if self
                .consume(|raw| reader.connection().writer().handshake(raw))
                .map_err(TlsHandshakeError::Failed)?
            {
                return Ok(());
            }
        }
    }

    /// Reads what the peer said. Everything gathered for the peer goes out before this blocks.
    pub(super) fn read(&mut self, reader: &mut SocketReader, plain: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(n) = self.consume(|raw| reader.connection().writer().decrypt(raw, plain))? {
                return Ok(n);
            }
            if self.receive(reader)? == 0 {
                // An end that the peer did not declare may be somebody else's doing (RFC 8446, 6.1).
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Lends the bytes that have not been fed.
    fn consume<T>(&mut self, into: impl FnOnce(&mut &[u8]) -> io::Result<T>) -> io::Result<T> {
        let mut raw = &self.buffer[self.from..self.to];
        let outcome = into(&mut raw);
        self.from = self.to - raw.len();
        outcome
    }

    /// Blocks until the peer sends something. All that came before has been fed.
    fn receive(&mut self, reader: &mut SocketReader) -> io::Result<usize> {
        if self.to == self.buffer.len() && self.to < LARGE {
            self.buffer = vec![0; (self.to * 4).clamp(SMALL, LARGE)];
        } else if self.to <= SMALL && self.buffer.len() > SMALL {
            self.buffer = vec![0; SMALL];
        }
        (self.from, self.to) = (0, 0);
        let outcome = reader.receive(&mut self.buffer);
        match &outcome {
            Ok(n) => self.to = *n,
            // A peer that has gone silent, or gone.
            Err(_) => self.buffer = Vec::new(),
        }
        outcome
    }
}
