//! The worker's end of a TLS connection. It receives raw bytes without a lock and takes the frame writer's
//! lock only to decrypt them.

use std::io;

use super::socket_reader::SocketReader;
use super::tls_records::TlsRecords;

/// Size of the receive buffer at first and after a small receive, in bytes.
const SMALL_BUFFER: usize = 2 << 10;

/// Largest size of the receive buffer, in bytes: a TLS record of 16 KiB and most of another.
const LARGE_BUFFER: usize = 32 << 10;

/// Received bytes that have not all been decrypted.
#[derive(Debug, Default)]
pub(super) struct TlsReadBuffer {
    /// Grows when a receive fills it, shrinks after a small one, and is freed when nothing has arrived.
    buffer: Vec<u8>,
    /// Bytes of `buffer` that TLS has consumed.
    consumed: usize,
    /// Bytes of `buffer` that the last receive returned.
    received: usize,
    records: TlsRecords,
    /// The first byte of the connection was that of a TLS record.
    first_byte_checked: bool,
}

/// Why a TLS handshake did not complete.
#[derive(Debug)]
pub(crate) enum TlsHandshakeError {
    /// The first byte is a letter: the peer probably sent a plain HTTP request.
    NotTls,
    /// The connection ended or was aborted, or a receive failed.
    Disconnected,
    /// TLS rejected the peer's bytes and an alert was sent, or sending failed.
    Failed(io::Error),
}

impl TlsReadBuffer {
    /// Receives and sends until the TLS handshake is complete, or until no more bytes have arrived: returns
    /// `false` then. The supervisor aborts a connection that is not open at the handshake deadline.
    pub(super) fn handshake(&mut self, reader: &mut SocketReader) -> Result<bool, TlsHandshakeError> {
        loop {
            match self.receive(reader) {
                Ok(0) => return Err(TlsHandshakeError::Disconnected),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(_) => return Err(TlsHandshakeError::Disconnected),
            }
            // A TLS record begins with a content type, at most 23 (RFC 8446, 5.1).
            if !self.first_byte_checked && self.buffer[0].is_ascii_alphabetic() {
                return Err(TlsHandshakeError::NotTls);
            }
            self.first_byte_checked = true;
            if self
                .consume(|raw| reader.connection().writer().handshake(raw))
                .map_err(TlsHandshakeError::Failed)?
            {
                return Ok(true);
            }
        }
    }

    /// Reads decrypted bytes into `plaintext` and returns their number, 0 after a `close_notify`.
    ///
    /// An end of stream without `close_notify` is the error `UnexpectedEof`, because an attacker can cause it
    /// (RFC 8446, 6.1).
    pub(super) fn read(&mut self, reader: &mut SocketReader, plaintext: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(n) = self.consume(|raw| reader.connection().writer().decrypt(raw, plaintext))? {
                return Ok(n);
            }
            if self.receive(reader)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Returns the number of the TLS record of which a part was received, or `None` between two records.
    pub(super) fn unfinished_record(&self) -> Option<u64> {
        self.records.unfinished()
    }

    /// Passes the unconsumed bytes to `process`, which removes those that it consumes.
    fn consume<T>(&mut self, process: impl FnOnce(&mut &[u8]) -> io::Result<T>) -> io::Result<T> {
        let mut raw = &self.buffer[self.consumed..self.received];
        let outcome = process(&mut raw);
        self.consumed = self.received - raw.len();
        outcome
    }

    /// Receives raw bytes and returns their number. All bytes received before must have been consumed.
    ///
    /// # Errors
    /// Those of [`SocketReader::receive`], among them `WouldBlock`.
    fn receive(&mut self, reader: &mut SocketReader) -> io::Result<usize> {
        if self.received == self.buffer.len() && self.received < LARGE_BUFFER {
            self.buffer = vec![0; (self.received * 4).clamp(SMALL_BUFFER, LARGE_BUFFER)];
        } else if self.received <= SMALL_BUFFER && self.buffer.len() > SMALL_BUFFER {
            self.buffer = vec![0; SMALL_BUFFER];
        }
        (self.consumed, self.received) = (0, 0);
        let outcome = reader.receive(&mut self.buffer);
        match &outcome {
            Ok(n) => {
                self.received = *n;
                self.records.scan(&self.buffer[..*n]);
            }
            Err(_) => self.buffer = Vec::new(),
        }
        outcome
    }
}
