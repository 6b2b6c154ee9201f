//! The stream that tungstenite reads from and writes to: the worker's end of one connection.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use super::connection::{Connection, Phase};
use super::read_ahead::ReadAhead;
use super::socket_reader::SocketReader;
use super::tls_reader::{TlsHandshakeError, TlsReadBuffer};
use super::waiting::Waiting;
use crate::protocol::opcode::{self, first_opcode};
use crate::protocol::{frame_inspector::FrameInspector, message_info::MessageInfo, violation::Violation};

/// A blocking stream that sends the write queue before a read may block.
///
/// tungstenite reads only when it holds no complete frame, so a burst of messages costs one read and one
/// write.
pub(crate) struct BlockingStream {
    reader: SocketReader,
    /// Bytes that were received after the request head.
    leftover: Vec<u8>,
    /// Bytes of `leftover` that were read.
    leftover_read: usize,
    /// Used on a plain connection only.
    read_ahead: ReadAhead,
    /// Present on a TLS connection only.
    tls: Option<TlsReadBuffer>,
    /// Present after the upgrade.
    inspector: Option<FrameInspector>,
    /// Pongs are discarded: a fault that an endpoint injects.
    suppress_pongs: bool,
}

impl BlockingStream {
    /// Creates the stream of a connection whose handshake has not begun.
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        Self {
            reader: SocketReader::new(connection),
            leftover: Vec::new(),
            leftover_read: 0,
            read_ahead: ReadAhead::default(),
            tls: None,
            inspector: None,
            suppress_pongs: false,
        }
    }

    /// Performs the TLS handshake; later reads decrypt. Blocks without a deadline, and ends when the
    /// supervisor aborts the connection.
    pub(crate) fn handshake(&mut self) -> Result<(), TlsHandshakeError> {
        self.tls.get_or_insert_default().handshake(&mut self.reader)
    }

    /// Begins the session: the following reads return frames, first those in `leftover`, and `inspector`
    /// checks them.
    pub(crate) fn upgrade(&mut self, leftover: Vec<u8>, inspector: FrameInspector) {
        self.leftover = leftover;
        self.leftover_read = 0;
        self.inspector = Some(inspector);
    }

    /// Returns the kind and compression of the data message that tungstenite returned last. Call once for
    /// each.
    pub(crate) fn next_message_info(&mut self) -> MessageInfo {
        self.inspector.as_mut().and_then(FrameInspector::next_message_info).unwrap_or(MessageInfo::Plain)
    }

    /// Returns whether tungstenite buffers nothing once it has returned every complete message: the bytes
    /// read so far end with a frame, and no fragmented message is unfinished.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.inspector.as_ref().is_some_and(FrameInspector::between_messages)
    }

    /// Returns the code of the received Close frame as the client sent it. `None` if the frame has no code.
    pub(crate) fn received_close_code(&self) -> Option<u16> {
        self.inspector.as_ref().and_then(FrameInspector::close_code)
    }

    /// Records that a message of `length` bytes was received, for the scheduling policy.
    pub(crate) fn record_message(&mut self, length: usize) {
        self.reader.record_message(length);
    }

    /// Returns whether there are unread bytes that were read ahead; then another message is likely. Always
    /// `false` over TLS.
    pub(crate) fn has_more(&self) -> bool {
        self.read_ahead.has_more()
    }

    fn violation(&self) -> Option<Violation> {
        self.inspector.as_ref().and_then(FrameInspector::violation)
    }

    /// Reads from the connection, decrypted, or from the bytes that were read ahead.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let message = self.inspector.as_ref().and_then(FrameInspector::unfinished);
        let received = if let Some(tls) = &mut self.tls {
            tls.read(&mut self.reader, buffer, message)
        } else {
            self.reader.connection().set_waiting(Waiting::unfinished(message, None));
            self.read_ahead.read(&mut self.reader, buffer)
        };
        self.reader.connection().set_waiting(Waiting::No);
        received
    }

    /// Reads from `leftover` and returns the number of bytes. Frees `leftover` with the last byte.
    fn read_leftover(&mut self, buffer: &mut [u8]) -> usize {
        let unread = &self.leftover[self.leftover_read..];
        let n = buffer.len().min(unread.len());
        buffer[..n].copy_from_slice(&unread[..n]);
        self.leftover_read += n;
        if self.leftover_read == self.leftover.len() {
            self.leftover = Vec::new();
            self.leftover_read = 0;
        }
        n
    }

    /// Sets the deadline of the following reads, or removes it. A read fails with `WouldBlock` at its
    /// deadline.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.reader.set_deadline(deadline);
    }

    /// Discards Pongs from now on.
    pub(crate) fn suppress_pongs(&mut self) {
        self.suppress_pongs = true;
    }

    /// Ends the connection after the last bytes: shuts down the sending half, then reads and discards until
    /// the peer's end of stream, or until another thread aborts the connection. Blocks without a deadline.
    ///
    /// The kernel resets a connection that is closed with unread bytes, and the peer could then lose the last
    /// bytes that were sent (RFC 9112, 9.6).
    pub(crate) fn linger(&mut self) {
        self.discard_in(Phase::Lingering);
    }

    /// Like [`linger`](Self::linger), after a Close for an error in a message that the peer may still be
    /// sending. The peer gets the close time-out to finish it: a reset fails its write, and it would not read
    /// the Close. A peer that still sends at the end is reset.
    pub(crate) fn linger_after_error(&mut self) {
        self.discard_in(Phase::Closing);
    }

    fn discard_in(&mut self, phase: Phase) {
        self.reader.connection().advance_to(phase);
        self.set_deadline(None);
        if self.reader.connection().writer().shutdown_write().is_err() {
            return;
        }
        let mut discarded = [0; 2048];
        // After an abort bytes that have arrived can still be read, and a peer could send without an end. They
        // stay unread, so that the kernel resets the connection.
        while matches!(self.reader.receive(&mut discarded), Ok(n) if n > 0)
            && !self.reader.connection().is_aborted()
        {}
    }
}

impl Read for BlockingStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        // After a violation tungstenite first gets the bytes before it. It reads again only when it has
        // processed them.
        if self.violation().is_none() {
            n = if self.leftover.is_empty() { self.receive(buffer)? } else { self.read_leftover(buffer) };
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
    /// Queues one frame. tungstenite passes one whole frame in each call.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !(self.suppress_pongs && first_opcode(bytes) == Some(opcode::PONG)) {
            self.reader.connection().writer().write_raw_frame(bytes)?;
        }
        Ok(bytes.len())
    }

    /// Does nothing: tungstenite flushes after each Pong, and the replies to a burst should be one write.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
