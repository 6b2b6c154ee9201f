//! What tungstenite reads from and writes to: the worker's end of one connection.

pub(crate) mod outbox;
pub(crate) mod tls;
pub(crate) mod wire;

use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::handle::{Phase, SessionHandle};
use tls::{Inbox, Insecure};

/// A blocking stream that writes out what was gathered just before it asks the kernel for more bytes.
///
/// tungstenite reads only when it holds no complete frame, so a burst of messages costs one read and one write.
pub(crate) struct Transport {
    /// The session, whose outbox takes everything that is written.
    session: Arc<SessionHandle>,
    /// Bytes that were received behind the request head, and how many of them have been read again.
    ahead: (Vec<u8>, usize),
    /// Raw bytes on their way into TLS; a plain connection has none.
    tls: Option<Inbox>,
}

impl Transport {
    /// The worker's end of `session`.
    pub(crate) fn new(session: Arc<SessionHandle>) -> Self {
        Self { session, ahead: (Vec::new(), 0), tls: None }
    }

    /// Holds the TLS handshake. From then on, what is read was encrypted.
    pub(crate) fn shake_hands(&mut self) -> Result<(), Insecure> {
        self.tls.get_or_insert_default().shake_hands(&self.session)
    }

    /// Has bytes that came behind the request head read before anything new.
    pub(crate) fn unread(&mut self, bytes: Vec<u8>) {
        self.ahead = (bytes, 0);
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
        self.unread(Vec::new());
        if self.session.outbox().end().is_err() {
            return;
        }
        let mut scrap = [0; 2048];
        while matches!(receive_raw(&self.session, &mut scrap), Ok(n) if n > 0) {}
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.0.is_empty() {
            return Ok(self.reread(buffer));
        }
        if let Some(tls) = &mut self.tls {
            return tls.read(&self.session, buffer);
        }
        self.session.outbox().flush()?;
        receive_raw(&self.session, buffer)
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

/// Receives bytes as they are, and counts that as a sign of life.
fn receive_raw(session: &SessionHandle, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match session.outbox().socket().read(buffer) {
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
