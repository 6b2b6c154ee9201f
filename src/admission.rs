//! Admission: whether a connection is served, waits or is refused, decided before the pool hears of it.
//!
//! The pool's own queue has no bound and cannot be looked into, so it never holds more jobs than there are workers:
//! a job is handed over only when a worker is free, and a worker that is done takes the next from the waiting room.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustls::ServerConfig;

/// A connection that was accepted and has said nothing yet.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The connection.
    pub(crate) socket: TcpStream,
    /// The other end.
    pub(crate) peer: SocketAddr,
    /// When it was accepted.
    pub(crate) at: Instant,
    /// How TLS is spoken with it; `None` on a plain listener.
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

/// What becomes of an arrival.
#[derive(Debug)]
pub(crate) enum Decision {
    /// A worker is free: hand this to the pool.
    Serve(Arrival, Permit),
    /// It waits for a worker.
    Wait,
    /// No worker, and no place to wait.
    Full(Arrival),
    /// The server stops.
    Closed(Arrival),
}

/// Counts the busy workers and holds those who wait.
#[derive(Debug)]
pub(crate) struct Admission {
    /// What changes.
    state: Mutex<State>,
    /// How many sessions are served at once.
    workers: usize,
    /// How many connections may wait.
    waiting: usize,
}

/// What changes.
#[derive(Debug, Default)]
struct State {
    /// Permits that are out.
    busy: usize,
    /// Those who wait, the longest first. Empty while a worker is free.
    room: VecDeque<Arrival>,
    /// The server stops: nobody is admitted any more.
    closed: bool,
}

/// The right to occupy one worker. Dropping it frees the worker's place, whatever happened to the worker.
#[derive(Debug)]
pub(crate) struct Permit {
    /// Where it goes back to.
    admission: Arc<Admission>,
    /// Whether it has not gone back yet.
    held: bool,
}

impl Admission {
    /// Room for that many sessions, and for that many that wait.
    pub(crate) fn new(workers: usize, waiting: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), workers, waiting })
    }

    /// Decides about an arrival.
    pub(crate) fn admit(self: &Arc<Self>, arrival: Arrival) -> Decision {
        let mut state = self.state();
        if state.closed {
            Decision::Closed(arrival)
        } else if state.busy < self.workers {
            state.busy += 1;
            Decision::Serve(arrival, Permit { admission: Arc::clone(self), held: true })
        } else if state.room.len() < self.waiting {
            state.room.push_back(arrival);
            Decision::Wait
        } else {
            Decision::Full(arrival)
        }
    }

    /// Takes out those who have waited since before `since`.
    pub(crate) fn expire(&self, since: Instant) -> Vec<Arrival> {
        let mut state = self.state();
        let expired = state.room.partition_point(|arrival| arrival.at < since);
        state.room.drain(..expired).collect()
    }

    /// Admits nobody from now on, and takes out all who wait.
    pub(crate) fn close(&self) -> Vec<Arrival> {
        let mut state = self.state();
        state.closed = true;
        std::mem::take(&mut state.room).into()
    }

    /// How many workers are busy.
    pub(crate) fn busy(&self) -> usize {
        self.state().busy
    }

    /// How many connections wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state().room.len()
    }

    /// The lock. Nothing in here panics half-way, so a poisoned state is still a good one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The worker is done with one connection: the next one that waits, or else its place is free. Both are decided
    /// in one hold of the lock; between the two, somebody could begin to wait for a worker who has just left.
    pub(crate) fn next(mut self) -> Option<(Arrival, Self)> {
        let mut state = self.admission.state();
        if let Some(arrival) = state.room.pop_front() {
            drop(state);
            return Some((arrival, self));
        }
        state.busy -= 1;
        drop(state);
        self.held = false;
        None
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.held {
            self.admission.state().busy -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use super::*;

    fn arrival() -> Arrival {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Arrival { peer: socket.peer_addr().unwrap(), socket, at: Instant::now(), tls: None }
    }

    #[test]
    fn beyond_workers_and_waiting_room_it_is_full() {
        let admission = Admission::new(1, 1);
        let Decision::Serve(_, permit) = admission.admit(arrival()) else { panic!("a worker is free") };
        assert!(matches!(admission.admit(arrival()), Decision::Wait));
        assert!(matches!(admission.admit(arrival()), Decision::Full(_)));
        let (_, permit) = permit.next().expect("the one who waits is next");
        assert!(matches!(admission.admit(arrival()), Decision::Wait), "its place is free again");
        let (_, permit) = permit.next().expect("and the next");
        assert!(permit.next().is_none());
        assert_eq!(admission.busy(), 0, "whoever comes now is served, and does not wait for nobody");
        assert!(matches!(admission.admit(arrival()), Decision::Serve(..)));
        assert_eq!(admission.busy(), 0, "a permit that is dropped goes back");
    }

    #[test]
    fn a_closed_door_admits_nobody() {
        let admission = Admission::new(1, 5);
        let _permit = admission.admit(arrival());
        assert!(matches!(admission.admit(arrival()), Decision::Wait));
        assert_eq!(admission.close().len(), 1);
        assert!(matches!(admission.admit(arrival()), Decision::Closed(_)));
        assert_eq!(admission.waiting(), 0);
    }

    #[test]
    fn only_those_who_waited_too_long_expire() {
        let admission = Admission::new(1, 5);
        let _permit = admission.admit(arrival());
        assert!(matches!(admission.admit(arrival()), Decision::Wait));
        let between = Instant::now() + Duration::from_secs(1);
        let late = Arrival { at: between, ..arrival() };
        assert!(matches!(admission.admit(late), Decision::Wait));
        assert_eq!(admission.expire(between).len(), 1);
        assert_eq!(admission.waiting(), 1);
    }
}
