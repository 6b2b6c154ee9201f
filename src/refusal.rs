//! The refusal lane: one thread that answers 503 to those who cannot be served, without making anyone wait.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use crate::admission::Arrival;
use crate::http::Answer;

/// Refusals that may wait for the lane; beyond that a connection is closed without a word.
const BACKLOG: usize = 4096;

/// Connections that are kept until the peer has read its answer; beyond that the oldest is closed.
const LINGERING: usize = 1024;

/// How long one of them is kept.
const LINGER: Duration = Duration::from_secs(1);

/// How often the lane looks whether their peers have gone, while there are any.
const SWEEP: Duration = Duration::from_millis(20);

/// Seconds after which a refused client may try again.
const RETRY_AFTER: &str = "1";

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reason {
    /// No worker is free, and no place to wait.
    Full,
    /// It waited for a worker as long as a handshake may take.
    WaitedTooLong,
    /// The server stops.
    Stopping,
}

impl Reason {
    /// The label under which it is counted.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::WaitedTooLong => "waited_too_long",
            Self::Stopping => "stopping",
        }
    }

    /// What the client is told.
    pub(crate) fn answer(self) -> Answer {
        let sentence = match self {
            Self::Full => "every worker is busy and the waiting room is full; try again, or raise --workers",
            Self::WaitedTooLong => "every worker stayed busy; try again, or raise --workers",
            Self::Stopping => "the server is shutting down",
        };
        Answer::text(503, sentence).with("Retry-After", RETRY_AFTER)
    }
}

/// The sending end of the lane; clones share it, and the thread ends when the last one is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    /// To the thread.
    sender: Sender<(Arrival, Reason)>,
}

impl Lane {
    /// Starts the thread.
    pub(crate) fn start(name: String) -> io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = bounded(BACKLOG);
        let thread = thread::Builder::new().name(name).spawn(move || run(&receiver))?;
        Ok((Self { sender }, thread))
    }

    /// Refuses a connection. Never blocks.
    pub(crate) fn refuse(&self, arrival: Arrival, reason: Reason) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.sender.try_send((arrival, reason))
        {
            log::debug!("the refusal lane is full: a connection is closed without an answer");
        }
    }
}

/// The thread: answers whoever comes, and looks after those who have been answered.
fn run(receiver: &Receiver<(Arrival, Reason)>) {
    let mut lingering = VecDeque::new();
    let mut open = true;
    while open || !lingering.is_empty() {
        let next = if lingering.is_empty() {
            receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            receiver.recv_timeout(SWEEP)
        };
        match next {
            Ok((arrival, reason)) => {
                if lingering.len() == LINGERING {
                    lingering.pop_front();
                }
                lingering.extend(answer(arrival, reason));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                if open {
                    open = false;
                } else {
                    thread::sleep(SWEEP);
                }
            }
        }
        if receiver.is_empty() {
            let now = Instant::now();
            lingering.retain_mut(|(arrival, until)| now < *until && !has_gone(arrival));
        }
    }
}

/// Answers 503 and ends the sending half. Returns the connection with the time until which it is kept.
fn answer(mut arrival: Arrival, reason: Reason) -> Option<(Arrival, Instant)> {
    let bytes = reason.answer().to_bytes(false);
    arrival.socket.set_nonblocking(true).ok()?;
    // The send buffer of a new connection has room for an answer.
    arrival.socket.write_all(&bytes).ok()?;
    arrival.socket.shutdown(Shutdown::Write).ok()?;
    Some((arrival, Instant::now() + LINGER))
}

/// Reads and discards what the peer sent, so that closing does not reset the connection before it has read its
/// answer. Returns whether the peer has ended its side.
fn has_gone(arrival: &mut Arrival) -> bool {
    let mut scrap = [0; 4096];
    loop {
        match arrival.socket.read(&mut scrap) {
            Ok(0) => return true,
            Ok(n) if n == scrap.len() => {}
            Ok(_) => return false,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return e.kind() != io::ErrorKind::WouldBlock,
        }
    }
}
