//! The rejector: one thread that sends 503 to connections without a place. Accept loops never wait for it.

use std::collections::VecDeque;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use log::debug;

use super::admission::AcceptedConnection;
use super::rejected_connection::RejectedConnection;
use crate::http::response::Response;

/// Maximum number of connections that wait for the rejector. Further ones are closed without a response.
const QUEUE_CAPACITY: usize = 1024;

/// Maximum number of connections that are held until the peer has read the response. Above it the oldest is
/// closed.
const MAX_CONNECTIONS: usize = 1024;

/// Maximum number of held connections in their TLS handshake. Above it a new TLS connection is closed without
/// a response: a handshake costs a thousand times as much CPU as a response.
const MAX_HANDSHAKES: usize = 128;

/// Time between two polls of the held connections, while there are any.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Time between two polls while a TLS handshake is in progress.
const HANDSHAKE_POLL_INTERVAL: Duration = Duration::from_millis(3);

/// Value of `Retry-After`, in seconds (RFC 9110, 10.2.3).
const RETRY_AFTER: &str = "1";

/// Why a connection is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RejectReason {
    /// All places are taken and the queue is full.
    QueueFull,
    /// The connection was queued for longer than the handshake time-out.
    QueueTimeout,
    /// The address of the client has the maximum number of connections.
    AddressLimit,
    /// The server shuts down.
    ShuttingDown,
}

impl RejectReason {
    /// All reasons. The metric shows each from the start.
    pub(crate) const ALL: [Self; 3] = [Self::QueueFull, Self::QueueTimeout, Self::ShuttingDown];

    /// Returns the label of the metric `ws_echo_connections_refused_total`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "full",
            Self::QueueTimeout => "waited_too_long",
            Self::AddressLimit => "address_limit",
            Self::ShuttingDown => "stopping",
        }
    }

    /// Returns the response: 503, or 429 if only this client is rejected.
    pub(crate) fn response(self) -> Response {
        let (status, sentence) = match self {
            Self::QueueFull => (503, "all connections are in use; try again later"),
            Self::QueueTimeout => (503, "no connection ended in time; try again later"),
            Self::AddressLimit => {
                (429, "too many connections from your address; close some, or try again later")
            }
            Self::ShuttingDown => (503, "the server is shutting down"),
        };
        Response::text(status, sentence).with("Retry-After", RETRY_AFTER)
    }
}

/// The sending end of the rejector's queue. The thread ends when the last clone is dropped and no connection
/// is held.
#[derive(Clone, Debug)]
pub(crate) struct Rejector {
    sender: Sender<(AcceptedConnection, RejectReason)>,
}

impl Rejector {
    /// Starts the thread. `spare_files` is the number of descriptors that it may use: half for its queue,
    /// half for held connections. `served_by` is the name of this instance.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn start(
        name: String,
        spare_files: usize,
        served_by: String,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let share = spare_files / 2;
        let (sender, receiver) = bounded(share.clamp(1, QUEUE_CAPACITY));
        let max_connections = share.clamp(1, MAX_CONNECTIONS);
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || RejectorThread::new(max_connections, served_by).run(&receiver))?;
        Ok((Self { sender }, thread))
    }

    /// Queues a connection for its 503. Never blocks: if the queue is full, closes the connection without a
    /// response.
    pub(crate) fn reject(&self, connection: AcceptedConnection, reason: RejectReason) {
        if self.sender.try_send((connection, reason)).is_err() {
            debug!("rejector queue full: connection closed without a response");
        }
    }
}

/// The thread's state.
struct RejectorThread {
    /// Held connections, oldest first.
    connections: VecDeque<RejectedConnection>,
    /// Upper limit of `connections`.
    max_connections: usize,
    /// Number of `connections` in their TLS handshake.
    handshaking: usize,
    /// Name of this instance.
    served_by: String,
}

impl RejectorThread {
    fn new(max_connections: usize, served_by: String) -> Self {
        Self { connections: VecDeque::new(), max_connections, handshaking: 0, served_by }
    }

    /// Rejects queued connections and polls held ones, until all senders are dropped and no connection is
    /// held.
    fn run(mut self, receiver: &Receiver<(AcceptedConnection, RejectReason)>) {
        let mut open = true;
        let mut last_poll = Instant::now();
        while open || !self.connections.is_empty() {
            let interval = if self.handshaking > 0 { HANDSHAKE_POLL_INTERVAL } else { POLL_INTERVAL };
            let next = if self.connections.is_empty() {
                receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                receiver.recv_timeout(interval)
            };
            match next {
                Ok((connection, reason)) => self.add(connection, reason),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if open => open = false,
                Err(RecvTimeoutError::Disconnected) => thread::sleep(interval),
            }
            let now = Instant::now();
            if receiver.is_empty() || now - last_poll >= interval {
                last_poll = now;
                self.poll(now);
            }
        }
    }

    /// Sends the response, or begins the TLS handshake, and holds the connection.
    fn add(&mut self, connection: AcceptedConnection, reason: RejectReason) {
        let is_tls = connection.tls.is_some();
        if is_tls && self.handshaking >= MAX_HANDSHAKES {
            return;
        }
        if self.connections.len() >= self.max_connections {
            self.connections.pop_front();
        }
        self.handshaking += usize::from(is_tls);
        let rejected =
            RejectedConnection::new(connection, &reason.response(), &self.served_by, Instant::now());
        self.connections.extend(rejected);
    }

    /// Advances all held connections and drops those that are finished.
    fn poll(&mut self, now: Instant) {
        self.connections.retain_mut(|connection| connection.advance(now));
        self.handshaking = self.connections.iter().filter(|connection| connection.is_handshaking()).count();
    }
}
