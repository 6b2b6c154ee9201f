//! The refusal lane: one thread that answers 503 to those who cannot be served, without making anyone wait.

mod leaving;

use std::collections::VecDeque;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use crate::admission::Arrival;
use crate::http::Answer;
use leaving::Leaving;

/// Refusals that may wait for the lane; beyond that a connection is closed without a word.
const BACKLOG: usize = 1024;

/// Connections that are kept until the peer has read its answer, where there are descriptors for as many; beyond that
/// the oldest is closed.
const LINGERING: usize = 1024;

/// Of these, connections whose TLS handshake is held, so that they can be answered; beyond that a connection is
/// closed without a word, because a handshake costs a thousand times as much as an answer.
const SHAKING_HANDS: usize = 128;

/// How often the lane looks after them, while there are any.
const SWEEP: Duration = Duration::from_millis(20);

/// How often, while a TLS handshake is held.
const HANDSHAKE_SWEEP: Duration = Duration::from_millis(3);

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
    pub(crate) fn refuse(&self, arrival: Arrival, reason: Reason) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.sender.try_send((arrival, reason))
        {
            log::debug!("the refusal lane is full: a connection is closed without an answer");
        }
    }
}

/// The thread: answers whoever comes, and looks after those who have been answered.
fn run(receiver: &Receiver<(Arrival, Reason)>, places: usize) {
    let mut leaving: VecDeque<Leaving> = VecDeque::new();
    let mut shaking_hands = 0;
    let mut open = true;
    let mut swept = Instant::now();
    while open || !leaving.is_empty() {
        let sweep = if shaking_hands > 0 { HANDSHAKE_SWEEP } else { SWEEP };
        let next = if leaving.is_empty() {
            receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            receiver.recv_timeout(sweep)
        };
        match next {
            Ok((arrival, _)) if arrival.tls.is_some() && shaking_hands >= SHAKING_HANDS => drop(arrival),
            Ok((arrival, reason)) => {
                if leaving.len() >= places {
                    leaving.pop_front();
                }
                shaking_hands += usize::from(arrival.tls.is_some());
                leaving.extend(Leaving::new(arrival, &reason.answer(), Instant::now()));
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
            leaving.retain_mut(|one| one.go_on(now));
            shaking_hands = leaving.iter().filter(|one| one.is_shaking_hands()).count();
        }
    }
}
