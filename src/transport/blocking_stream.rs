//! What tungstenite reads from and writes to: the worker's end of one connection.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use super::connection::{Connection, Phase};
use super::read_ahead::ReadAhead;
use super::socket_reader::SocketReader;
use super::tls_reader::{TlsHandshakeError, TlsReadBuffer};
use super::write_queue;
use crate::protocol::{frame_inspector::FrameInspector, message_info::MessageInfo, violation::Violation};

/// A blocking stream that writes out what was gathered before a read may block.
///
/// tungstenite reads only when it holds no complete frame, so a burst of messages costs one read and one write.
pub(crate) struct BlockingStream {
    /// Receives bytes as they are. Its session's outbox takes everything that is written.
    reader: SocketReader,
    /// Bytes that were received behind the request head, and how many of them have been read again.
    leftover: (Vec<u8>, usize),
    /// Reads ahead on a plain connection while much comes in.
    read_ahead: ReadAhead,
    /// Raw bytes on their way into TLS; a plain connection has none.
    tls: Option<TlsReadBuffer>,
    /// Follows the frames, once there are any.
    inspector: Option<FrameInspector>,
    /// Pongs are left out: a fault that one path is asked for.
    suppress_pongs: bool,
}

impl BlockingStream {
    /// The worker's end of `session`.
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        Self {
            reader: SocketReader::new(connection),
            leftover: (Vec::new(), 0),
            read_ahead: ReadAhead::default(),
            tls: None,
            inspector: None,
            suppress_pongs: false,
        }
    }

    /// Holds the TLS handshake. From then on, what is read was encrypted.
    pub(crate) fn handshake(&mut self) -> Result<(), TlsHandshakeError> {
        self.tls.get_or_insert_default().handshake(&mut self.reader)
    }

    /// The handshake is done: what is read from now on are frames, and `ahead` came with the request head.
    pub(crate) fn upgrade(&mut self, leftover: Vec<u8>, inspector: FrameInspector) {
        self.leftover = (leftover, 0);
        self.inspector = Some(inspector);
    }

    /// What the data message that tungstenite has just returned was. To be called once for each of them.
    pub(crate) fn next_message_info(&mut self) -> MessageInfo {
        self.inspector.as_mut().and_then(FrameInspector::next_message_info).unwrap_or(MessageInfo::Plain)
    }

    /// Whether tungstenite, having read all that there was, holds no byte: the last one that it was given ended a
    /// frame, and no message is open.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.inspector.as_ref().is_some_and(FrameInspector::between_messages)
    }

    /// A message of so many bytes has been read.
    pub(crate) fn note_message(&mut self, length: usize) {
        self.reader.note_message(length);
    }

    /// Whether bytes wait that were read ahead on a plain connection: another message is likely.
    pub(crate) fn has_more(&self) -> bool {
        self.read_ahead.has_more()
    }

    /// What the peer did wrong, once it did.
    fn violation(&self) -> Option<Violation> {
        self.inspector.as_ref().and_then(FrameInspector::violation)
    }

    /// Reads from the connection, or what was read ahead.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.read(&mut self.reader, buffer),
            None => self.read_ahead.read(&mut self.reader, buffer),
        }
    }

    /// Reads some of those bytes again; 0 when there are none left.
    fn read_leftover(&mut self, buffer: &mut [u8]) -> usize {
        let (bytes, at) = &mut self.leftover;
        let n = buffer.len().min(bytes.len() - *at);
        buffer[..n].copy_from_slice(&bytes[*at..*at + n]);
        *at += n;
        if *at == bytes.len() {
            self.leftover = (Vec::new(), 0);
        }
        n
    }

    /// Bounds the reads that follow, or no longer does.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.reader.set_deadline(deadline);
    }

    /// Leaves Pings without an answer from now on.
    pub(crate) fn suppress_pongs(&mut self) {
        self.suppress_pongs = true;
    }

    /// Everything has been said: ends the sending half, then reads until the peer ends its own or the session is
    /// cut. What the peer still says does not matter, but to close a socket with unread bytes makes the kernel
    /// reset the connection, and the peer could lose our last words.
    pub(crate) fn linger(&mut self) {
        self.reader.connection().advance_to(Phase::Lingering);
        self.set_deadline(None);
        if self.reader.connection().writer().shutdown_write().is_err() {
            return;
        }
        let mut scrap = [0; 2048];
        while matches!(self.reader.receive(&mut scrap), Ok(n) if n > 0) {}
    }
}

impl Read for BlockingStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        // tungstenite asks for more only when it has worked on everything in front of a violation.
        if self.violation().is_none() {
            n = if self.leftover.0.is_empty() { self.receive(buffer)? } else { self.read_leftover(buffer) };
            if let Some(inspector) = &mut self.inspector {
                n = inspector.scan(&mut buffer[..n]);
            }
        }
        match self.violation() {
            Some(violation) if n == 0 => Err(io::Error::new(io::ErrorKind::InvalidData, violation)),
            _ => Ok(n),
        }
    }
}

impl Write for BlockingStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // tungstenite hands over one frame a call, so the first byte tells which.
        if !(self.suppress_pongs && bytes.first().is_some_and(|&first| write_queue::is_pong(first))) {
            self.reader.connection().writer().write_raw_frame(bytes)?;
        }
        Ok(bytes.len())
    }

    /// Does nothing: tungstenite flushes after each Pong, and a burst should still be one write.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
