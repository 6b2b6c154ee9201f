//! Admission: how many connections there are, which of them have a place, and which wait for one.
//!
//! A connection needs a place when its request has come: so a client that sends nothing takes none, probes
//! need none, and a rejection is the response to a request.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;
use socket2::Socket;

use super::reject_reason::RejectReason;
use crate::session::peer::Peer;

/// Connections beyond those with a place and those that wait for one: they have sent no request, or get a
/// rejection.
const MAX_OTHERS: usize = 8192;

/// An accepted connection from which no byte has been read.
#[derive(Debug)]
pub(crate) struct AcceptedConnection {
    /// In non-blocking mode.
    pub(crate) socket: Socket,
    pub(crate) peer: Peer,
    /// TLS configuration of the listener; `None` for plain TCP.
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

/// The answer to a request for a place.
#[derive(Debug)]
pub(crate) enum Place {
    Granted(PlacePermit),
    /// All places are taken. When one is free, [`Admission::grant_next`] returns the number of the
    /// connection.
    Queued,
    Rejected(RejectReason),
}

/// The places for connections, and the bounded queue of those that wait for one.
#[derive(Debug)]
pub(crate) struct Admission {
    state: Mutex<AdmissionState>,
    /// Number of places.
    places: usize,
    /// Maximum number of connections in the queue.
    queue_limit: usize,
    /// Maximum number of connections.
    max_connections: usize,
}

/// The part of [`Admission`] that the lock protects.
#[derive(Debug, Default)]
struct AdmissionState {
    connections: usize,
    /// Places that are taken or granted.
    taken: usize,
    /// Numbers of the connections that wait for a place, oldest first.
    queue: VecDeque<u64>,
    /// Numbers of the connections that have left the queue with a place and have not taken it.
    granted: HashSet<u64>,
    /// The server shuts down: no place is given.
    closed: bool,
}

/// Counts a connection until it is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit(Arc<Admission>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.lock().connections -= 1;
    }
}

/// A place. Dropping it makes the place free; [`Admission::grant_next`] gives it to a queued connection.
#[derive(Debug)]
pub(crate) struct PlacePermit(Arc<Admission>);

impl Drop for PlacePermit {
    fn drop(&mut self) {
        self.0.lock().taken -= 1;
    }
}

impl Admission {
    /// Creates `places` free places and an empty queue for at most `queue_limit` connections (0 is allowed).
    /// `spare_files` is the number of descriptors for other connections.
    pub(crate) fn new(places: usize, queue_limit: usize, spare_files: usize) -> Arc<Self> {
        let others = spare_files.clamp(1, MAX_OTHERS);
        let max_connections = places.saturating_add(queue_limit).saturating_add(others);
        Arc::new(Self { state: Mutex::default(), places, queue_limit, max_connections })
    }

    /// Counts a connection. Returns `None` if there are too many.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<ConnectionPermit> {
        let mut state = self.lock();
        if state.connections >= self.max_connections {
            return None;
        }
        state.connections += 1;
        Some(ConnectionPermit(Arc::clone(self)))
    }

    /// Gives a connection a place, or queues it. Call again when [`grant_next`](Self::grant_next) has
    /// returned the number of a queued connection.
    pub(crate) fn request_place(self: &Arc<Self>, id: u64) -> Place {
        let mut state = self.lock();
        if state.granted.remove(&id) {
            return Place::Granted(PlacePermit(Arc::clone(self)));
        }
        if state.closed {
            return Place::Rejected(RejectReason::ShuttingDown);
        }
        if state.queue.contains(&id) {
            return Place::Queued;
        }
        if state.taken < self.places && state.queue.is_empty() {
            state.taken += 1;
            return Place::Granted(PlacePermit(Arc::clone(self)));
        }
        if state.queue.len() >= self.queue_limit {
            return Place::Rejected(RejectReason::QueueFull);
        }
        state.queue.push_back(id);
        Place::Queued
    }

    /// Gives a free place to the connection that has waited longest, and returns its number. Call after a
    /// place has become free, until it returns `None`.
    pub(crate) fn grant_next(&self) -> Option<u64> {
        let mut state = self.lock();
        if state.taken >= self.places {
            return None;
        }
        let id = state.queue.pop_front()?;
        state.taken += 1;
        state.granted.insert(id);
        Some(id)
    }

    /// Takes a connection that ends out of the queue. Frees the place that it was given and has not taken.
    pub(crate) fn leave_queue(&self, id: u64) {
        let mut state = self.lock();
        state.queue.retain(|queued| *queued != id);
        if state.granted.remove(&id) {
            state.taken -= 1;
        }
    }

    /// Gives no more places.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.queue.clear();
    }

    /// Returns whether a request would get a place, or wait for one.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.lock();
        !state.closed && (state.taken < self.places || state.queue.len() < self.queue_limit)
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
    use super::*;

    fn granted(admission: &Arc<Admission>, id: u64) -> PlacePermit {
        match admission.request_place(id) {
            Place::Granted(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn admission_is_full_beyond_places_and_queue() {
        let admission = Admission::new(1, 1, 9);
        let permit = granted(&admission, 1);
        assert!(admission.has_room());
        assert!(matches!(admission.request_place(2), Place::Queued));
        assert!(matches!(admission.request_place(2), Place::Queued), "it is queued once");
        assert_eq!((admission.has_room(), admission.waiting()), (false, 1));
        assert!(matches!(admission.request_place(3), Place::Rejected(RejectReason::QueueFull)));
        assert_eq!(admission.grant_next(), None, "the place is taken");
        drop(permit);
        assert_eq!(admission.grant_next(), Some(2));
        assert!(matches!(admission.request_place(4), Place::Queued), "the place is granted");
        drop(granted(&admission, 2));
        assert_eq!(admission.grant_next(), Some(4));
    }

    #[test]
    fn admission_gives_a_free_place_to_the_oldest_queued_connection() {
        let admission = Admission::new(1, 3, 9);
        let permit = granted(&admission, 1);
        (2..=4).for_each(|id| assert!(matches!(admission.request_place(id), Place::Queued)));
        admission.leave_queue(2);
        drop(permit);
        assert!(matches!(admission.request_place(5), Place::Queued), "queued ones come first");
        assert_eq!((admission.grant_next(), admission.grant_next()), (Some(3), None));
        admission.leave_queue(3);
        assert_eq!(admission.grant_next(), Some(4), "connection 3 has ended with its place");
    }

    #[test]
    fn admission_gives_no_place_after_close() {
        let admission = Admission::new(2, 5, 9);
        let _permit = granted(&admission, 1);
        admission.close();
        assert!(matches!(admission.request_place(2), Place::Rejected(RejectReason::ShuttingDown)));
        assert_eq!((admission.grant_next(), admission.has_room()), (None, false));
    }

    #[test]
    fn admission_counts_connections() {
        let admission = Admission::new(1, 1, 1);
        let mut permits: Vec<_> = (0..3).map(|_| admission.enter().expect("there is room")).collect();
        assert!(admission.enter().is_none());
        permits.pop();
        assert!(admission.enter().is_some());
    }
}
