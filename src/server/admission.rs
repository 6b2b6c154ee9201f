//! Admission: whether a connection is served, waits or is refused.
//!
//! The pool's own queue has no bound and cannot be looked into, and all idle threads wait for one lock. So each worker
//! has one job, which lasts as long as the server: to serve what it is called for here.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustls::ServerConfig;

use crate::platform::pipe_semaphore::PipeSemaphore;

/// A connection that was accepted and has said nothing yet.
#[derive(Debug)]
pub(crate) struct AcceptedConnection {
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
pub(crate) enum AdmitResult {
    /// A worker is called for it, or it waits for one.
    Queued,
    /// No worker, and no place to wait.
    QueueFull(AcceptedConnection),
    /// The server stops.
    ShuttingDown(AcceptedConnection),
}

/// Calls workers, and holds the connections that wait for one.
#[derive(Debug)]
pub(crate) struct Admission {
    /// What changes.
    state: Mutex<AdmissionState>,
    /// Calls an idle worker.
    semaphore: PipeSemaphore,
    /// How many sessions are served at once.
    workers: usize,
    /// How many connections may wait.
    waiting: usize,
}

/// What changes.
#[derive(Debug)]
struct AdmissionState {
    /// Workers that wait for the bell, and for whom it has not been rung.
    idle: usize,
    /// Rings that no worker has answered yet. For each of them a connection in the queue is as good as served, and
    /// where another worker has been faster, there is room for one that comes.
    pending_wakeups: usize,
    /// Connections that nobody serves yet, the longest first.
    queue: VecDeque<AcceptedConnection>,
    /// The server stops: nobody is admitted any more.
    closed: bool,
}

impl Admission {
    /// Room for that many sessions, and for that many connections that wait. Everybody is idle from the start,
    /// before the threads run: a call waits for them.
    pub(crate) fn new(workers: usize, waiting: usize) -> io::Result<Arc<Self>> {
        let state =
            AdmissionState { idle: workers, pending_wakeups: 0, queue: VecDeque::new(), closed: false };
        Ok(Arc::new(Self { state: Mutex::new(state), semaphore: PipeSemaphore::new()?, workers, waiting }))
    }

    /// What one worker is called for. To be called once for each of them.
    pub(crate) fn receiver(self: &Arc<Self>) -> ConnectionReceiver {
        ConnectionReceiver { admission: Arc::clone(self), busy: false }
    }

    /// Decides about an arrival.
    pub(crate) fn admit(&self, arrival: AcceptedConnection) -> AdmitResult {
        let mut state = self.state();
        if state.closed {
            return AdmitResult::ShuttingDown(arrival);
        }
        if state.idle > 0 {
            state.idle -= 1;
            state.pending_wakeups += 1;
            state.queue.push_back(arrival);
            drop(state);
            self.semaphore.post();
        } else if state.queue.len() < self.waiting.saturating_add(state.pending_wakeups) {
            state.queue.push_back(arrival);
        } else {
            return AdmitResult::QueueFull(arrival);
        }
        AdmitResult::Queued
    }

    /// For a worker that has nothing to do and has answered so many rings: whoever has waited longest. Without anybody
    /// the worker is idle, and both are decided in one hold of the lock: between the two, somebody could begin to
    /// wait for a worker that has just sat down.
    fn take_next(&self, consumed: usize) -> Option<AcceptedConnection> {
        let mut state = self.state();
        state.pending_wakeups -= consumed;
        let arrival = state.queue.pop_front();
        state.idle += usize::from(arrival.is_none());
        arrival
    }

    /// Takes out those who have waited since before `since`.
    pub(crate) fn expire(&self, since: Instant) -> Vec<AcceptedConnection> {
        let mut state = self.state();
        let expired = state.queue.partition_point(|arrival| arrival.at < since);
        state.queue.drain(..expired).collect()
    }

    /// Admits nobody from now on, and takes out all who wait.
    pub(crate) fn close(&self) -> Vec<AcceptedConnection> {
        let mut state = self.state();
        state.closed = true;
        std::mem::take(&mut state.queue).into()
    }

    /// Lets the workers go: the idle ones now, the others when they are done.
    pub(crate) fn shutdown_workers(&self) {
        self.semaphore.close();
    }

    /// How many workers are busy.
    pub(crate) fn busy(&self) -> usize {
        self.workers - self.state().idle
    }

    /// How many connections wait although nobody has been called for them.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.state();
        state.queue.len().saturating_sub(state.pending_wakeups)
    }

    /// The lock. Nothing in here panics half-way, so a poisoned state is still a good one.
    fn state(&self) -> MutexGuard<'_, AdmissionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections that one worker serves, one after the other. It is busy from a call for it until it asks for the
/// next one, and there is none.
#[derive(Debug)]
pub(crate) struct ConnectionReceiver {
    /// Who calls.
    admission: Arc<Admission>,
    /// Whether it serves one.
    busy: bool,
}

impl Iterator for ConnectionReceiver {
    type Item = AcceptedConnection;

    /// Waits for the next connection; `None` when the workers may go.
    fn next(&mut self) -> Option<AcceptedConnection> {
        if self.busy
            && let Some(arrival) = self.admission.take_next(0)
        {
            return Some(arrival);
        }
        loop {
            self.busy = self.admission.semaphore.wait();
            if !self.busy {
                return None;
            }
            if let Some(arrival) = self.admission.take_next(1) {
                return Some(arrival);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use super::*;

    fn arrival() -> AcceptedConnection {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        AcceptedConnection { peer: socket.peer_addr().unwrap(), socket, at: Instant::now(), tls: None }
    }

    #[test]
    fn beyond_workers_and_waiting_room_it_is_full() {
        let admission = Admission::new(1, 1).unwrap();
        let mut worker = admission.receiver();
        assert!(matches!(admission.admit(arrival()), AdmitResult::Queued), "a worker is idle");
        assert!(matches!(admission.admit(arrival()), AdmitResult::Queued), "there is room to wait");
        assert!(matches!(admission.admit(arrival()), AdmitResult::QueueFull(_)));
        assert_eq!((admission.busy(), admission.waiting()), (1, 1));
        worker.next().expect("it was called");
        assert_eq!((admission.busy(), admission.waiting()), (1, 1));
        worker.next().expect("the one who waits is next");
        assert_eq!((admission.busy(), admission.waiting()), (1, 0));
        assert!(matches!(admission.admit(arrival()), AdmitResult::Queued), "its place is free again");
    }

    #[test]
    fn a_worker_that_is_done_takes_whoever_has_waited_longest() {
        let admission = Admission::new(2, 1).unwrap();
        let (mut first, mut second) = (admission.receiver(), admission.receiver());
        let peers: Vec<_> = (0..3)
            .map(|_| {
                let arrival = arrival();
                let peer = arrival.peer;
                assert!(matches!(admission.admit(arrival), AdmitResult::Queued));
                peer
            })
            .collect();
        // The second one was called as well, but the first is done before it hears of it.
        assert_eq!(first.next().unwrap().peer, peers[0]);
        assert_eq!(first.next().unwrap().peer, peers[1]);
        assert_eq!(admission.waiting(), 0, "the second has been called");
        assert_eq!(second.next().unwrap().peer, peers[2]);
    }

    /// Two workers and no room to wait. The second has been called for a connection that the first has served.
    fn overtaken() -> (Arc<Admission>, ConnectionReceiver) {
        let admission = Admission::new(2, 0).unwrap();
        let (mut first, second) = (admission.receiver(), admission.receiver());
        for _ in 0..2 {
            assert!(matches!(admission.admit(arrival()), AdmitResult::Queued));
        }
        first.next().unwrap();
        first.next().unwrap();
        (admission, second)
    }

    #[test]
    fn where_another_worker_has_been_faster_there_is_room_for_one_more() {
        let (admission, mut second) = overtaken();
        // Nothing is left of what the second was called for, but what comes until it has answered is for it.
        assert!(matches!(admission.admit(arrival()), AdmitResult::Queued));
        assert!(matches!(admission.admit(arrival()), AdmitResult::QueueFull(_)));
        second.next().unwrap();
        admission.shutdown_workers();
        assert!(second.next().is_none());
        assert_eq!(admission.busy(), 1);
    }

    #[test]
    fn a_call_for_somebody_whom_another_worker_has_served_leaves_the_worker_idle() {
        let (admission, mut second) = overtaken();
        admission.shutdown_workers();
        assert!(second.next().is_none());
        assert_eq!(admission.busy(), 1);
    }

    #[test]
    fn a_closed_door_admits_nobody() {
        let admission = Admission::new(1, 5).unwrap();
        let mut worker = admission.receiver();
        let _ = admission.admit(arrival());
        worker.next().unwrap();
        let _ = admission.admit(arrival());
        assert_eq!(admission.close().len(), 1);
        assert!(matches!(admission.admit(arrival()), AdmitResult::ShuttingDown(_)));
        assert_eq!(admission.waiting(), 0);
        admission.shutdown_workers();
        assert!(worker.next().is_none());
        assert_eq!(admission.busy(), 0);
    }

    #[test]
    fn only_those_who_waited_too_long_expire() {
        let admission = Admission::new(1, 5).unwrap();
        let mut worker = admission.receiver();
        let _ = admission.admit(arrival());
        worker.next().unwrap();
        let _ = admission.admit(arrival());
        let between = Instant::now() + Duration::from_secs(1);
        let _ = admission.admit(AcceptedConnection { at: between, ..arrival() });
        assert_eq!(admission.expire(between).len(), 1);
        assert_eq!(admission.waiting(), 1);
    }
}
