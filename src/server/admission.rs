//! Admission: decides in one critical section whether a connection is served, waits for a place or is rejected.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustls::ServerConfig;

use super::address_limit::AddressPermit;

/// An accepted connection from which no byte has been read.
#[derive(Debug)]
pub(crate) struct AcceptedConnection {
    /// In non-blocking mode.
    pub(crate) socket: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Time of the accept, or of the end of a freeze after it. The time in the queue counts from here.
    pub(crate) accepted_at: Instant,
    /// TLS configuration of the listener; `None` for plain TCP.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Counts the connection for the limit of its address, if there is a limit.
    pub(crate) permit: Option<AddressPermit>,
}

/// What [`Admission::admit`] did with a connection.
#[derive(Debug)]
pub(crate) enum AdmitResult {
    /// The connection has a place: the caller serves it.
    Admitted(AcceptedConnection, Permit),
    /// All places are taken, and the connection is in the queue.
    Queued,
    /// All places are taken and the queue is full.
    QueueFull(AcceptedConnection),
    /// The server shuts down.
    ShuttingDown(AcceptedConnection),
}

/// The places for connections, and the bounded queue of those that wait for one.
#[derive(Debug)]
pub(crate) struct Admission {
    state: Mutex<AdmissionState>,
    /// Number of places.
    places: usize,
    /// Maximum number of connections in the queue.
    queue_limit: usize,
}

/// The part of [`Admission`] that the lock protects.
#[derive(Debug, Default)]
struct AdmissionState {
    /// Places that are taken.
    taken: usize,
    /// Connections without a place, oldest first.
    queue: VecDeque<AcceptedConnection>,
    /// The server shuts down: no connection is admitted.
    closed: bool,
}

/// A place. Dropping it makes the place free; [`Admission::next_waiting`] gives it to a queued connection.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Admission>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.lock().taken -= 1;
    }
}

impl Admission {
    /// Creates `places` free places and an empty queue for at most `queue_limit` connections (0 is allowed).
    pub(crate) fn new(places: usize, queue_limit: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), places, queue_limit })
    }

    /// Gives a connection a place, or queues it. Does not block.
    pub(crate) fn admit(self: &Arc<Self>, connection: AcceptedConnection) -> AdmitResult {
        let mut state = self.lock();
        if state.closed {
            return AdmitResult::ShuttingDown(connection);
        }
        if state.taken < self.places && state.queue.is_empty() {
            state.taken += 1;
            return AdmitResult::Admitted(connection, Permit(Arc::clone(self)));
        }
        if state.queue.len() >= self.queue_limit {
            return AdmitResult::QueueFull(connection);
        }
        state.queue.push_back(connection);
        AdmitResult::Queued
    }

    /// Gives a free place to the connection that has waited longest. Returns `None` if there is no such place or no such
    /// connection. Call after a place has become free.
    pub(crate) fn next_waiting(self: &Arc<Self>) -> Option<(AcceptedConnection, Permit)> {
        let mut state = self.lock();
        if state.taken >= self.places {
            return None;
        }
        let connection = state.queue.pop_front()?;
        state.taken += 1;
        Some((connection, Permit(Arc::clone(self))))
    }

    /// Removes and returns the queued connections that were accepted before `cutoff`.
    pub(crate) fn take_expired(&self, cutoff: Instant) -> Vec<AcceptedConnection> {
        let mut state = self.lock();
        let expired = state.queue.partition_point(|connection| connection.accepted_at < cutoff);
        state.queue.drain(..expired).collect()
    }

    /// Restarts the time in the queue of all queued connections.
    pub(crate) fn restart_waits(&self, now: Instant) {
        for connection in &mut self.lock().queue {
            connection.accepted_at = now;
        }
    }

    /// Stops admitting connections. Removes and returns all queued ones.
    pub(crate) fn close(&self) -> Vec<AcceptedConnection> {
        let mut state = self.lock();
        state.closed = true;
        std::mem::take(&mut state.queue).into()
    }

    /// Returns the number of queued connections.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// Locks the state. No code panics between two related changes, so a poisoned state is consistent.
    fn lock(&self) -> MutexGuard<'_, AdmissionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use super::*;

    fn connection() -> AcceptedConnection {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        AcceptedConnection {
            peer: socket.peer_addr().unwrap(),
            socket,
            accepted_at: Instant::now(),
            tls: None,
            permit: None,
        }
    }

    fn admitted(admission: &Arc<Admission>) -> Permit {
        match admission.admit(connection()) {
            AdmitResult::Admitted(_, permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn admission_is_full_beyond_places_and_queue() {
        let admission = Admission::new(1, 1);
        let permit = admitted(&admission);
        assert!(matches!(admission.admit(connection()), AdmitResult::Queued));
        assert!(matches!(admission.admit(connection()), AdmitResult::QueueFull(_)));
        assert!(admission.next_waiting().is_none(), "the place is taken");
        drop(permit);
        let next = admission.next_waiting().expect("a place is free");
        assert_eq!(admission.waiting(), 0);
        assert!(matches!(admission.admit(connection()), AdmitResult::Queued), "the place is taken again");
        drop(next);
    }

    #[test]
    fn admission_gives_a_free_place_to_the_oldest_queued_connection() {
        let admission = Admission::new(1, 2);
        let permit = admitted(&admission);
        let peers: Vec<_> = (0..2)
            .map(|_| {
                let connection = connection();
                let peer = connection.peer;
                assert!(matches!(admission.admit(connection), AdmitResult::Queued));
                peer
            })
            .collect();
        drop(permit);
        assert!(matches!(admission.admit(connection()), AdmitResult::QueueFull(_)), "queued ones come first");
        let (first, permit) = admission.next_waiting().unwrap();
        drop(permit);
        let (second, _) = admission.next_waiting().unwrap();
        assert_eq!([first.peer, second.peer], peers[..]);
    }

    #[test]
    fn admission_rejects_connections_after_close() {
        let admission = Admission::new(1, 5);
        let permit = admitted(&admission);
        let _ = admission.admit(connection());
        assert_eq!(admission.close().len(), 1);
        assert!(matches!(admission.admit(connection()), AdmitResult::ShuttingDown(_)));
        drop(permit);
        assert!(admission.next_waiting().is_none());
    }

    #[test]
    fn admission_expires_only_connections_accepted_before_the_cutoff() {
        let admission = Admission::new(1, 5);
        let _permit = admitted(&admission);
        let _ = admission.admit(connection());
        let cutoff = Instant::now() + Duration::from_secs(1);
        let _ = admission.admit(AcceptedConnection { accepted_at: cutoff, ..connection() });
        assert_eq!(admission.take_expired(cutoff).len(), 1);
        assert_eq!(admission.waiting(), 1);
    }
}
