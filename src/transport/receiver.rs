//! The receiving half of a connection: raw bytes, with or without a deadline.

use std::io::{self, IoSliceMut, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::outbox::is_passing;
use crate::handle::SessionHandle;

/// Receives what a peer sends, as it is. Only the session's worker has one.
pub(super) struct Receiver {
    /// Whose peer it is.
    session: Arc<SessionHandle>,
    /// When a read that is still waiting gives up with `WouldBlock`. There is one only while the session keeps time,
    /// or holds memory that it may not need; every other read waits for as long as it takes.
    deadline: Option<Instant>,
}

impl Receiver {
    /// Of that session's peer.
    pub(super) fn new(session: Arc<SessionHandle>) -> Self {
        Self { session, deadline: None }
    }

    /// Whose peer it is.
    pub(super) fn session(&self) -> &SessionHandle {
        &self.session
    }

    /// Bounds the reads that follow, or no longer does.
    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        if deadline.is_none() && self.deadline.is_some() {
            // What fails here fails again at the next read, which says so.
            let _ = self.session.outbox().socket().set_read_timeout(None);
        }
        self.deadline = deadline;
    }

    /// Receives into a buffer, whatever waits to be sent.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_with(|mut socket| socket.read(buffer))
    }

    /// Reads until something comes or the deadline has, and counts it as a sign of life.
    fn read_with(&self, mut read: impl FnMut(&TcpStream) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match self.read_once(&mut read) {
                Ok(n) => {
                    if n > 0 {
                        self.session.counters().reads.add(1);
                    }
                    return Ok(n);
                }
                Err(e) if is_passing(&e) => {
                    if self.deadline.is_some_and(|at| Instant::now() >= at) {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// One read, which blocks no longer than until the deadline.
    fn read_once(&self, read: &mut impl FnMut(&TcpStream) -> io::Result<usize>) -> io::Result<usize> {
        let socket = self.session.outbox().socket();
        match self.deadline.map(|at| at.saturating_duration_since(Instant::now())) {
            None => read(socket),
            // The one reader of this socket is here, and nobody writes to it without `MSG_DONTWAIT` but this thread:
            // so the flag of the whole descriptor is free to use.
            Some(Duration::ZERO) => {
                socket.set_nonblocking(true)?;
                let outcome = read(socket);
                socket.set_nonblocking(false)?;
                outcome
            }
            Some(wait) => {
                socket.set_read_timeout(Some(wait))?;
                read(socket)
            }
        }
    }
}

/// A plain connection, on which everything gathered goes out before a read may block.
impl Read for &Receiver {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.session.outbox().flush()?;
        self.receive(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.session.outbox().flush()?;
        self.read_with(|mut socket| socket.read_vectored(buffers))
    }
}
