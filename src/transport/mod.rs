//! What tungstenite reads from and writes to: the worker's end of one connection.

pub(crate) mod outbox;

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::handle::{Phase, SessionHandle};

/// A blocking stream that writes out what was gathered just before it asks the kernel for more bytes.
///
/// tungstenite reads only when it holds no complete frame, so a burst of messages costs one read and one write.
pub(crate) struct Transport {
    /// The session, whose outbox takes everything that is written.
    session: Arc<SessionHandle>,
    /// Bytes that were received behind the request head, and how many of them have been read again.
    ahead: (Vec<u8>, usize),
    /// When a read that is still waiting gives up with `WouldBlock`; only behaviours that keep time have one.
    deadline: Option<Instant>,
    /// Pongs are left out: a fault that one path is asked for.
    mute: bool,
}

impl Transport {
    /// The worker's end of `session`.
    pub(crate) fn new(session: Arc<SessionHandle>) -> Self {
        Self { session, ahead: (Vec::new(), 0), deadline: None, mute: false }
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

    /// Bounds the reads that follow, or no longer does.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        if deadline.is_none() && self.deadline.is_some() {
            // What fails here fails again at the next read, which says so.
            let _ = self.session.outbox().socket().set_read_timeout(None);
        }
        self.deadline = deadline;
    }

    /// Leaves Pings without an answer from now on.
    pub(crate) fn mute_pongs(&mut self) {
        self.mute = true;
    }

    /// One read from the connection, made again until it returns something or the deadline has come.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.session.outbox().socket();
        loop {
            let read = match self.deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => socket.read(buffer),
                // The one reader of this socket is here, and nobody writes to it without `MSG_DONTWAIT` but this
                // thread: so the flag of the whole descriptor is free to use.
                Some(Duration::ZERO) => {
                    socket.set_nonblocking(true)?;
                    let read = socket.read(buffer);
                    socket.set_nonblocking(false)?;
                    read
                }
                Some(wait) => socket.set_read_timeout(Some(wait)).and_then(|()| socket.read(buffer)),
            };
            match read {
                Err(e) if outbox::is_passing(&e) => {
                    if self.deadline.is_some_and(|at| Instant::now() >= at) {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                }
                other => return other,
            }
        }
    }

    /// Everything has been said: ends the sending half, then reads until the peer ends its own or the session is
    /// cut. What the peer still says does not matter, but to close a socket with unread bytes makes the kernel
    /// reset the connection, and the peer could lose our last words.
    pub(crate) fn linger(&mut self) {
        self.session.reach(Phase::Lingering);
        self.unread(Vec::new());
        self.set_deadline(None);
        let outbox = self.session.outbox();
        if outbox.flush().is_err() || outbox.socket().shutdown(Shutdown::Write).is_err() {
            return;
        }
        let mut scrap = [0; 2048];
        while matches!(self.read(&mut scrap), Ok(n) if n > 0) {}
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.0.is_empty() {
            return Ok(self.reread(buffer));
        }
        self.session.outbox().flush()?;
        let n = self.receive(buffer)?;
        if n > 0 {
            self.session.counters().reads.add(1);
        }
        Ok(n)
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // tungstenite hands over one frame a call, so the first byte tells which.
        if !(self.mute && bytes.first().is_some_and(|&first| outbox::is_pong(first))) {
            self.session.outbox().append(bytes)?;
        }
        Ok(bytes.len())
    }

    /// Does nothing: tungstenite flushes after each Pong, and a burst should still be one write.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
