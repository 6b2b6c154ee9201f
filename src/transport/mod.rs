//! What tungstenite reads from and writes to: the worker's end of one connection.

mod bulk;
pub(crate) mod outbox;
pub(crate) mod tls;
pub(crate) mod wire;

use std::io::{self, IoSliceMut, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::extensions::{Arrival, Tap, Violation};
use crate::handle::{Phase, SessionHandle};
use bulk::Bulk;
use tls::{Inbox, Insecure};

/// A blocking stream that writes out what was gathered just before it asks the kernel for more bytes.
///
/// tungstenite reads only when it holds no complete frame, so a burst of messages costs one read and one write.
pub(crate) struct Transport {
    /// The session, whose outbox takes everything that is written.
    session: Arc<SessionHandle>,
    /// Bytes that were received behind the request head, and how many of them have been read again.
    ahead: (Vec<u8>, usize),
    /// Reads ahead on a plain connection while large frames come in.
    bulk: Bulk,
    /// Raw bytes on their way into TLS; a plain connection has none.
    tls: Option<Inbox>,
    /// Follows the frames, once there are any.
    tap: Option<Tap>,
}

impl Transport {
    /// The worker's end of `session`.
    pub(crate) fn new(session: Arc<SessionHandle>) -> Self {
        Self { session, ahead: (Vec::new(), 0), bulk: Bulk::default(), tls: None, tap: None }
    }

    /// Holds the TLS handshake. From then on, what is read was encrypted.
    pub(crate) fn shake_hands(&mut self) -> Result<(), Insecure> {
        self.tls.get_or_insert_default().shake_hands(&self.session)
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

    /// What the peer did wrong, once it did.
    fn violation(&self) -> Option<Violation> {
        self.tap.as_ref().and_then(Tap::violation)
    }

    /// Reads from the connection, or what was read ahead.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.read(&self.session, buffer),
            None => self.bulk.read(&mut Plain(&self.session), buffer),
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

    /// Everything has been said: ends the sending half, then reads until the peer ends its own or the session is
    /// cut. What the peer still says does not matter, but to close a socket with unread bytes makes the kernel
    /// reset the connection, and the peer could lose our last words.
    pub(crate) fn linger(&mut self) {
        self.session.reach(Phase::Lingering);
        if self.session.outbox().end().is_err() {
            return;
        }
        let mut scrap = [0; 2048];
        while matches!(receive_raw(&self.session, |mut socket| socket.read(&mut scrap)), Ok(n) if n > 0) {}
    }
}

/// A plain connection, on which everything gathered goes out before a read may block.
struct Plain<'a>(&'a SessionHandle);

impl Read for Plain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.outbox().flush()?;
        receive_raw(self.0, |mut socket| socket.read(buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.outbox().flush()?;
        receive_raw(self.0, |mut socket| socket.read_vectored(buffers))
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
        self.session.outbox().append(bytes)?;
        Ok(bytes.len())
    }

    /// Does nothing: tungstenite flushes after each Pong, and a burst should still be one write.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Receives bytes as they are, made again where it only has to be, and counted as a sign of life.
fn receive_raw(
    session: &SessionHandle,
    mut read: impl FnMut(&TcpStream) -> io::Result<usize>,
) -> io::Result<usize> {
    loop {
        match read(session.outbox().socket()) {
            Ok(n) => {
                if n > 0 {
                    session.counters().reads.add(1);
                }
                return Ok(n);
            }
            Err(e) if outbox::is_passing(&e) => {}
            Err(e) => return Err(e),
        }
    }
}
