//! What tungstenite reads from and writes to: the worker's end of one connection.

mod courtesy;
pub(crate) mod outbox;
mod patience;
pub(crate) mod queue;
mod receiver;
pub(crate) mod tls;
pub(crate) mod wire;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use crate::extensions::{Arrival, Tap, Violation};
use crate::handle::{Phase, SessionHandle};
use crate::readahead::ReadAhead;
use receiver::Receiver;
use tls::{Inbox, Insecure};

/// A blocking stream that writes out what was gathered before a read may block.
///
/// tungstenite reads only when it holds no complete frame, so a burst of messages costs one read and one write.
pub(crate) struct Transport {
    /// Receives bytes as they are. Its session's outbox takes everything that is written.
    receiver: Receiver,
    /// Bytes that were received behind the request head, and how many of them have been read again.
    ahead: (Vec<u8>, usize),
    /// Reads ahead on a plain connection while much comes in.
    bulk: ReadAhead,
    /// Raw bytes on their way into TLS; a plain connection has none.
    tls: Option<Inbox>,
    /// Follows the frames, once there are any.
    tap: Option<Tap>,
    /// Pongs are left out: a fault that one path is asked for.
    mute: bool,
}

impl Transport {
    /// The worker's end of `session`.
    pub(crate) fn new(session: Arc<SessionHandle>) -> Self {
        Self {
            receiver: Receiver::new(session),
            ahead: (Vec::new(), 0),
            bulk: ReadAhead::default(),
            tls: None,
            tap: None,
            mute: false,
        }
    }

    /// Holds the TLS handshake. From then on, what is read was encrypted.
    pub(crate) fn shake_hands(&mut self) -> Result<(), Insecure> {
        self.tls.get_or_insert_default().shake_hands(&mut self.receiver)
    }

    /// The handshake is done: what is read from now on are frames, and `ahead` came with the request head.
    pub(crate) fn upgrade(&mut self, ahead: Vec<u8>, tap: Tap) {
        self.ahead = (ahead, 0);
        self.tap = Some(tap);
    }

    /// What the data message that tungstenite has just returned was. To be called once for each of them.
    pub(crate) fn next_arrival(&mut self) -> Arrival {
        self.tap.as_mut().and_then(Tap::next_arrival).unwrap_or(Arrival::Plain)
    }

    /// Whether tungstenite, having read all that there was, holds no byte: the last one that it was given ended a
    /// frame, and no message is open.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.tap.as_ref().is_some_and(Tap::between_messages)
    }

    /// A message of so many bytes has been read.
    pub(crate) fn note_message(&mut self, length: usize) {
        self.receiver.note_message(length);
    }

    /// Whether bytes wait that were read ahead on a plain connection: another message is likely.
    pub(crate) fn has_more(&self) -> bool {
        self.bulk.has_more()
    }

    /// What the peer did wrong, once it did.
    fn violation(&self) -> Option<Violation> {
        self.tap.as_ref().and_then(Tap::violation)
    }

    /// Reads from the connection, or what was read ahead.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.read(&mut self.receiver, buffer),
            None => self.bulk.read(&mut self.receiver, buffer),
        }
    }

    /// Reads some of those bytes again; 0 when there are none left.
    fn reread(&mut self, buffer: &mut [u8]) -> usize {
        let (bytes, at) = &mut self.ahead;
        let n = buffer.len().min(bytes.len() - *at);
        buffer[..n].copy_from_slice(&bytes[*at..*at + n]);
        *at += n;
        if *at == bytes.len() {
            self.ahead = (Vec::new(), 0);
        }
        n
    }

    /// Bounds the reads that follow, or no longer does.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.receiver.set_deadline(deadline);
    }

    /// Leaves Pings without an answer from now on.
    pub(crate) fn mute_pongs(&mut self) {
        self.mute = true;
    }

    /// Everything has been said: ends the sending half, then reads until the peer ends its own or the session is
    /// cut. What the peer still says does not matter, but to close a socket with unread bytes makes the kernel
    /// reset the connection, and the peer could lose our last words.
    pub(crate) fn linger(&mut self) {
        self.receiver.session().reach(Phase::Lingering);
        self.set_deadline(None);
        if self.receiver.session().outbox().end().is_err() {
            return;
        }
        let mut scrap = [0; 2048];
        while matches!(self.receiver.receive(&mut scrap), Ok(n) if n > 0) {}
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        // tungstenite asks for more only when it has worked on everything in front of a violation.
        if self.violation().is_none() {
            n = if self.ahead.0.is_empty() { self.receive(buffer)? } else { self.reread(buffer) };
            if let Some(tap) = &mut self.tap {
                n = tap.scan(&mut buffer[..n]);
            }
        }
        match self.violation() {
            Some(violation) if n == 0 => Err(io::Error::new(io::ErrorKind::InvalidData, violation)),
            _ => Ok(n),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // tungstenite hands over one frame a call, so the first byte tells which.
        if !(self.mute && bytes.first().is_some_and(|&first| queue::is_pong(first))) {
            self.receiver.session().outbox().append(bytes)?;
        }
        Ok(bytes.len())
    }

    /// Does nothing: tungstenite flushes after each Pong, and a burst should still be one write.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
