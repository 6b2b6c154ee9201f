//! The receiving half of a connection: raw bytes, with or without a deadline.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::outbox::is_passing;
use super::patience::{self, Patience};
use crate::handle::SessionHandle;
use crate::readahead::Source;

/// Receives what a peer sends, as it is. Only the session's worker has one.
pub(super) struct Receiver {
    /// Whose peer it is.
    session: Arc<SessionHandle>,
    /// When a read that is still waiting gives up with `WouldBlock`. There is one only while the session keeps time,
    /// or holds memory that it may not need; every other read waits for as long as it takes.
    deadline: Option<Instant>,
    /// Whether it pays to yield before blocking.
    patience: Patience,
    /// Nothing was there just now: the next read need not look again.
    looked: bool,
}

impl Receiver {
    /// Of that session's peer.
    pub(super) fn new(session: Arc<SessionHandle>) -> Self {
        Self { session, deadline: None, patience: Patience::default(), looked: false }
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

    /// Receives into a buffer, whatever waits to be sent, and counts it as a sign of life. Waits for as long as it
    /// takes, or until the deadline.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !std::mem::take(&mut self.looked)
            && self.patience.is_due()
            && let Some(n) = self.look(buffer)?
        {
            return Ok(n);
        }
        loop {
            match self.wait(buffer) {
                Err(e) if is_passing(&e) => {
                    if self.deadline.is_some_and(|at| Instant::now() >= at) {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Lets others go first, and then receives what is there; `None` if nothing is.
    fn look(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let turn = patience::let_others_run();
        let found = self.receive_now(buffer)?;
        self.patience.learn(turn, found.is_some());
        Ok(found)
    }

    /// Receives what is there, without waiting; `None` if nothing is.
    fn receive_now(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match recv(self.session.outbox().socket(), &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((n, _)) => {
                    self.note(n);
                    return Ok(Some(n));
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// One read, which blocks no longer than until the deadline.
    fn wait(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.session.outbox().socket();
        match self.deadline.map(|at| at.saturating_duration_since(Instant::now())) {
            None => {}
            Some(Duration::ZERO) => {
                return self.receive_now(buffer)?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
            }
            Some(wait) => socket.set_read_timeout(Some(wait))?,
        }
        socket.read(buffer).inspect(|&n| self.note(n))
    }

    /// Counts a sign of life.
    fn note(&self, received: usize) {
        if received > 0 {
            self.session.counters().reads.add(1);
        }
    }
}

/// A plain connection, on which everything gathered goes out before a read may block.
impl Source for Receiver {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.session.outbox().flush()?;
        self.receive(buffer)
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.session.outbox().flush()?;
        let found = if self.patience.is_due() { self.look(buffer)? } else { self.receive_now(buffer)? };
        self.looked = found.is_none();
        Ok(found)
    }
}
