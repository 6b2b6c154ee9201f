//! The refusal lane: one thread that answers 503 to those who cannot be served, without making anyone wait.

use std::collections::VecDeque;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::admission::AcceptedConnection;
use super::rejected_connection::RejectedConnection;
use crate::http::response::Response;

/// Refusals that may wait for the lane; beyond that a connection is closed without a word.
const BACKLOG: usize = 1024;

/// Connections that are kept until the peer has read its answer, where there are descriptors for as many; beyond that
/// the oldest is closed.
const LINGERING: usize = 1024;

/// Of these, connections whose TLS handshake is held, so that they can be answered; beyond that a connection is
/// closed without a word, because a handshake costs a thousand times as much as an answer.
const MAX_HANDSHAKES: usize = 128;

/// How often the lane looks after them, while there are any.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How often, while a TLS handshake is held.
const HANDSHAKE_POLL_INTERVAL: Duration = Duration::from_millis(3);

/// Seconds after which a refused client may try again.
const RETRY_AFTER: &str = "1";

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RejectReason {
    /// No worker is free, and no place to wait.
    Full,
    /// It waited for a worker as long as a handshake may take.
    WaitedTooLong,
    /// The server stops.
    Stopping,
}

impl RejectReason {
    /// The label under which it is counted.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::WaitedTooLong => "waited_too_long",
            Self::Stopping => "stopping",
        }
    }

    /// What the client is told.
    pub(crate) fn answer(self) -> Response {
        let sentence = match self {
            Self::Full => "every worker is busy and the waiting room is full; try again, or raise --workers",
            Self::WaitedTooLong => "every worker stayed busy; try again, or raise --workers",
            Self::Stopping => "the server is shutting down",
        };
        Response::text(503, sentence).with("Retry-After", RETRY_AFTER)
    }
}

/// The sending end of the lane; clones share it, and the thread ends when the last one is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Rejector {
    /// To the thread.
    sender: Sender<(AcceptedConnection, RejectReason)>,
}

impl Rejector {
    /// Starts the thread, which may use so many descriptors.
    pub(crate) fn start(name: String, spare_files: usize) -> io::Result<(Self, JoinHandle<()>)> {
        // Half of the spare descriptors for those who wait for an answer, half for those who have it.
        let share = spare_files / 2;
        let (sender, receiver) = bounded(share.clamp(1, BACKLOG));
        let places = share.clamp(1, LINGERING);
        let thread = thread::Builder::new().name(name).spawn(move || run(&receiver, places))?;
        Ok((Self { sender }, thread))
    }

    /// Refuses a connection. Never blocks.
    pub(crate) fn reject(&self, arrival: AcceptedConnection, reason: RejectReason) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.sender.try_send((arrival, reason))
        {
            log::debug!("the refusal rejector is full: a connection is closed without an answer");
        }
    }
}

/// The thread: answers whoever comes, and looks after those who have been answered.
fn run(receiver: &Receiver<(AcceptedConnection, RejectReason)>, places: usize) {
    let mut connections: VecDeque<RejectedConnection> = VecDeque::new();
    let mut handshaking = 0;
    let mut open = true;
    let mut swept = Instant::now();
    while open || !connections.is_empty() {
        let sweep = if handshaking > 0 { HANDSHAKE_POLL_INTERVAL } else { POLL_INTERVAL };
        let next = if connections.is_empty() {
            receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            receiver.recv_timeout(sweep)
        };
        match next {
            Ok((arrival, _)) if arrival.tls.is_some() && handshaking >= MAX_HANDSHAKES => drop(arrival),
            Ok((arrival, reason)) => {
                if connections.len() >= places {
                    connections.pop_front();
                }
                handshaking += usize::from(arrival.tls.is_some());
                connections.extend(RejectedConnection::new(arrival, &reason.answer(), Instant::now()));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                if open {
                    open = false;
                } else {
                    thread::sleep(sweep);
                }
            }
        }
        let now = Instant::now();
        if receiver.is_empty() || now - swept >= sweep {
            swept = now;
            connections.retain_mut(|one| one.advance(now));
            handshaking = connections.iter().filter(|one| one.is_handshaking()).count();
        }
    }
}
