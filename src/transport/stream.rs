//! The stream that tungstenite reads from and writes to: the end of one connection that its worker uses.

use std::io::{self, Read, Write};
use std::sync::Arc;

use super::connection::Connection;
use super::read_ahead::ReadAhead;
use super::socket_reader::SocketReader;
use super::tls_reader::{TlsHandshakeError, TlsReadBuffer};
use super::waiting::Waiting;
use crate::protocol::opcode::{self, first_opcode};
use crate::protocol::{
    frame_inspector::FrameInspector, frame_splitter::FrameSplitter, message_info::MessageInfo,
    violation::Violation,
};

/// Payload to come, in bytes, from which on a turn begins with a large receive.
const LARGE_REST: u64 = 4 << 10;

/// Maximum number of bytes that can be given back to the stream: less than the first read of a request head
/// or of a TLS record takes.
pub(crate) const FIRST_BYTES: usize = 1 << 10;

/// A stream that never waits: a read fails with `WouldBlock` if no bytes have arrived or the turn is spent,
/// and a write adds to the write queue.
///
/// tungstenite reads only when it holds no complete frame, and the queue is sent at the end of a turn, so a
/// burst of messages costs one read and one write.
pub(crate) struct SessionStream {
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
    splitter: FrameSplitter,
    /// Pongs are discarded: a fault that an endpoint injects.
    suppress_pongs: bool,
}

impl SessionStream {
    /// Creates the stream of a connection whose handshake has not begun.
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        Self {
            reader: SocketReader::new(connection),
            leftover: Vec::new(),
            leftover_read: 0,
            read_ahead: ReadAhead::default(),
            tls: None,
            inspector: None,
            splitter: FrameSplitter::new(0),
            suppress_pongs: false,
        }
    }

    /// Returns the connection.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        self.reader.connection()
    }

    /// Begins a turn. `readable`: bytes may have arrived since the last turn.
    pub(crate) fn begin_turn(&mut self, readable: bool) {
        self.reader.begin_turn(readable);
        // The rest of a large message is worth a large receive.
        if readable
            && self.inspector.as_ref().is_some_and(|inspector| inspector.payload_to_come() > LARGE_REST)
        {
            self.read_ahead.expect_more();
        }
    }

    /// Ends a turn. Returns whether more bytes may have arrived, which the turn had to leave.
    pub(crate) fn end_turn(&mut self) -> bool {
        self.read_ahead.shrink();
        self.reader.is_turn_spent()
    }

    /// Receives raw bytes in front of TLS and of the request. They do not count as bytes of the client.
    ///
    /// # Errors
    /// `WouldBlock` if no more bytes have arrived or the turn is spent, and those of the socket.
    pub(crate) fn receive_first(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.receive_uncounted(buffer)
    }

    /// Makes the next read begin with `bytes`, at most [`FIRST_BYTES`], of those that
    /// [`receive_first`](Self::receive_first) returned.
    pub(crate) fn give_back(&mut self, bytes: Vec<u8>) {
        self.reader.give_back(bytes);
    }

    /// Continues the TLS handshake; later reads decrypt. Returns whether it is complete.
    pub(crate) fn handshake(&mut self) -> Result<bool, TlsHandshakeError> {
        self.tls.get_or_insert_default().handshake(&mut self.reader)
    }

    /// Begins the session: the following reads return frames, first those in `leftover`, and `inspector`
    /// checks them. `max_message`: maximum size of a message.
    pub(crate) fn upgrade(&mut self, leftover: Vec<u8>, inspector: FrameInspector, max_message: usize) {
        self.splitter = FrameSplitter::new(max_message);
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

    /// Returns what the session waits for if it reads.
    pub(crate) fn waits_for(&self) -> Waiting {
        let message = self.inspector.as_ref().and_then(FrameInspector::unfinished);
        Waiting::unfinished(message, self.tls.as_ref().and_then(TlsReadBuffer::unfinished_record))
    }

    /// Returns whether there are unread bytes that were read ahead; then another message is likely. Always
    /// `false` over TLS.
    pub(crate) fn has_more(&self) -> bool {
        self.read_ahead.has_more()
    }

    /// Returns the number of bytes that this session holds of messages that are not complete, and of those
    /// not read.
    pub(crate) fn held_bytes(&self) -> usize {
        let messages = self.inspector.as_ref().map_or(0, |inspector| self.splitter.held_bytes(inspector));
        let messages = usize::try_from(messages).unwrap_or(usize::MAX);
        messages.saturating_add(self.read_ahead.held_bytes()).saturating_add(self.leftover.capacity())
    }

    /// To be called when tungstenite's buffers were released.
    pub(crate) fn buffers_released(&mut self) {
        self.splitter.buffers_released();
    }

    fn violation(&self) -> Option<Violation> {
        self.inspector.as_ref().and_then(FrameInspector::violation)
    }

    /// Reads from the connection, decrypted, or from the bytes that were read ahead.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.read(&mut self.reader, buffer),
            None => self.read_ahead.read(&mut self.reader, buffer),
        }
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

    /// Discards Pongs from now on.
    pub(crate) fn suppress_pongs(&mut self) {
        self.suppress_pongs = true;
    }

    /// Receives raw bytes and discards them. Returns whether the peer has ended its stream; `false` if no
    /// more bytes have arrived or the turn is spent.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn discard_received(&mut self) -> io::Result<bool> {
        let mut discarded = [0; 2048];
        loop {
            match self.reader.receive(&mut discarded) {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Read for SessionStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut passed = 0;
        // After a violation tungstenite first gets the bytes before it. It reads again only when it has
        // processed them.
        while passed == 0 && self.violation().is_none() {
            if let Some(n) = self.splitter.next_header(buffer) {
                return Ok(n);
            }
            let (start, end) = self.splitter.space(buffer).ok_or(io::ErrorKind::InvalidInput)?;
            let free = &mut buffer[start..end];
            let n = if self.leftover.is_empty() { self.receive(free)? } else { self.read_leftover(free) };
            let Some(inspector) = &mut self.inspector else { return Ok(n) };
            if n == 0 {
                return Ok(0);
            }
            let accepted = start + inspector.scan(&mut buffer[start..start + n]);
            passed = self.splitter.rewrite(&mut buffer[..accepted], inspector);
        }
        match self.violation() {
            Some(violation) if passed == 0 => Err(io::Error::new(io::ErrorKind::InvalidData, violation)),
            _ => Ok(passed),
        }
    }
}

impl Write for SessionStream {
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
