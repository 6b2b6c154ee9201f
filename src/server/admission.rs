//! Admission: decides in one critical section whether a connection gets a worker, is queued or is rejected.
//!
//! The queue of the thread pool has no bound and cannot be inspected. Therefore each worker runs one job for
//! the lifetime of the server, and that job takes connections from the bounded queue here.
//!
//! Idle workers block in a [`PipeSemaphore`]. Why a pipe semaphore and not a condition variable: since Linux
//! 6.16 the kernel keeps all futex waiters of a process in a hash table with few buckets, and with 10,000
//! idle workers each wake-up walks past hundreds of waiters. Readers of a pipe wait in a list of that pipe
//! only. See scripts/TUNING.md.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustls::ServerConfig;

use super::address_limit::AddressPermit;
use crate::platform::pipe_semaphore::PipeSemaphore;

/// An accepted connection from which no byte has been read.
#[derive(Debug)]
pub(crate) struct AcceptedConnection {
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
    /// The connection is in the queue.
    Queued,
    /// All workers are busy and the queue is full.
    QueueFull(AcceptedConnection),
    /// The server shuts down.
    ShuttingDown(AcceptedConnection),
}

/// The bounded queue of connections, and the wake-ups of the workers that take from it.
#[derive(Debug)]
pub(crate) struct Admission {
    state: Mutex<AdmissionState>,
    /// Idle workers wait here; each post wakes one.
    semaphore: PipeSemaphore,
    /// Number of workers.
    workers: usize,
    /// Maximum number of connections in the queue for which no worker has been woken.
    queue_limit: usize,
}

/// The part of [`Admission`] that the lock protects.
#[derive(Debug)]
struct AdmissionState {
    /// Workers that wait at the semaphore and for which no wake-up is pending.
    idle: usize,
    /// Posted wake-ups that no worker has consumed. Each adds one place to the queue.
    pending_wakeups: usize,
    /// Connections without a worker, oldest first.
    queue: VecDeque<AcceptedConnection>,
    /// The server shuts down: no connection is queued.
    closed: bool,
}

impl Admission {
    /// Creates an empty queue for `workers` workers, all counted as idle, and at most `queue_limit` waiting
    /// connections (0 is allowed). Wake-ups posted before the worker threads run are kept.
    ///
    /// # Errors
    /// If the pipe of the semaphore cannot be opened (pipe(2)).
    pub(crate) fn new(workers: usize, queue_limit: usize) -> io::Result<Arc<Self>> {
        let state =
            AdmissionState { idle: workers, pending_wakeups: 0, queue: VecDeque::new(), closed: false };
        let semaphore = PipeSemaphore::new()?;
        Ok(Arc::new(Self { state: Mutex::new(state), semaphore, workers, queue_limit }))
    }

    /// Returns the receiving end for one worker. Must be called once per worker.
    pub(crate) fn receiver(self: &Arc<Self>) -> ConnectionReceiver {
        ConnectionReceiver { admission: Arc::clone(self), busy: false }
    }

    /// Queues a connection and wakes an idle worker, if there is one. Does not block: at most one wake-up per
    /// worker is pending, and the pipe of the semaphore holds 65,536 (pipe(7)).
    pub(crate) fn admit(&self, connection: AcceptedConnection) -> AdmitResult {
        let mut state = self.lock();
        if state.closed {
            return AdmitResult::ShuttingDown(connection);
        }
        if state.idle > 0 {
            state.idle -= 1;
            state.pending_wakeups += 1;
            state.queue.push_back(connection);
            drop(state);
            self.semaphore.post();
        } else if state.queue.len() < self.queue_limit.saturating_add(state.pending_wakeups) {
            state.queue.push_back(connection);
        } else {
            return AdmitResult::QueueFull(connection);
        }
        AdmitResult::Queued
    }

    /// Acknowledges `consumed` wake-ups and pops the oldest queued connection. Returns `None` and counts the
    /// worker as idle if the queue is empty. One critical section: no worker would be woken for a connection
    /// queued between the two.
    fn take_next(&self, consumed: usize) -> Option<AcceptedConnection> {
        let mut state = self.lock();
        state.pending_wakeups -= consumed;
        let connection = state.queue.pop_front();
        state.idle += usize::from(connection.is_none());
        connection
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

    /// Stops queueing connections. Removes and returns all queued ones.
    pub(crate) fn close(&self) -> Vec<AcceptedConnection> {
        let mut state = self.lock();
        state.closed = true;
        std::mem::take(&mut state.queue).into()
    }

    /// Ends the workers: idle ones now, busy ones after their current connection.
    pub(crate) fn shutdown_workers(&self) {
        self.semaphore.close();
    }

    /// Returns the number of workers that are not idle.
    pub(crate) fn busy_workers(&self) -> usize {
        self.workers - self.lock().idle
    }

    /// Returns the number of queued connections for which no worker has been woken.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.lock();
        state.queue.len().saturating_sub(state.pending_wakeups)
    }

    /// Locks the state. No code panics between two related changes, so a poisoned state is consistent.
    fn lock(&self) -> MutexGuard<'_, AdmissionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker's end of the queue. The worker counts as busy from the wake-up until `next` finds the queue
/// empty.
#[derive(Debug)]
pub(crate) struct ConnectionReceiver {
    admission: Arc<Admission>,
    /// The worker has consumed a wake-up and is not counted as idle.
    busy: bool,
}

impl Iterator for ConnectionReceiver {
    type Item = AcceptedConnection;

    /// Blocks until a connection is queued. Returns `None` after [`Admission::shutdown_workers`].
    fn next(&mut self) -> Option<AcceptedConnection> {
        if self.busy
            && let Some(connection) = self.admission.take_next(0)
        {
            return Some(connection);
        }
        loop {
            self.busy = self.admission.semaphore.wait();
            if !self.busy {
                return None;
            }
            if let Some(connection) = self.admission.take_next(1) {
                return Some(connection);
            }
        }
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

    #[test]
    fn admission_is_full_beyond_workers_and_queue() {
        let admission = Admission::new(1, 1).unwrap();
        let mut worker = admission.receiver();
        assert!(matches!(admission.admit(connection()), AdmitResult::Queued), "a worker is idle");
        assert!(matches!(admission.admit(connection()), AdmitResult::Queued), "the queue has room");
        assert!(matches!(admission.admit(connection()), AdmitResult::QueueFull(_)));
        assert_eq!((admission.busy_workers(), admission.waiting()), (1, 1));
        worker.next().expect("the worker was woken");
        assert_eq!((admission.busy_workers(), admission.waiting()), (1, 1));
        worker.next().expect("the queue has a connection");
        assert_eq!((admission.busy_workers(), admission.waiting()), (1, 0));
        assert!(matches!(admission.admit(connection()), AdmitResult::Queued), "the queue has room again");
    }

    #[test]
    fn admission_hands_out_the_oldest_connection_first() {
        let admission = Admission::new(2, 1).unwrap();
        let (mut first, mut second) = (admission.receiver(), admission.receiver());
        let peers: Vec<_> = (0..3)
            .map(|_| {
                let connection = connection();
                let peer = connection.peer;
                assert!(matches!(admission.admit(connection), AdmitResult::Queued));
                peer
            })
            .collect();
        // A wake-up is pending for the second worker, but the first worker takes the connection before it.
        assert_eq!(first.next().unwrap().peer, peers[0]);
        assert_eq!(first.next().unwrap().peer, peers[1]);
        assert_eq!(admission.waiting(), 0, "a wake-up is pending for the last connection");
        assert_eq!(second.next().unwrap().peer, peers[2]);
    }

    /// Returns an admission with two workers and no queue, and the second worker. One wake-up is pending
    /// whose connection the first worker has already taken.
    fn admission_with_overtaken_wakeup() -> (Arc<Admission>, ConnectionReceiver) {
        let admission = Admission::new(2, 0).unwrap();
        let (mut first, second) = (admission.receiver(), admission.receiver());
        for _ in 0..2 {
            assert!(matches!(admission.admit(connection()), AdmitResult::Queued));
        }
        first.next().unwrap();
        first.next().unwrap();
        (admission, second)
    }

    #[test]
    fn admission_has_room_for_one_connection_per_pending_wakeup() {
        let (admission, mut second) = admission_with_overtaken_wakeup();
        assert!(matches!(admission.admit(connection()), AdmitResult::Queued));
        assert!(matches!(admission.admit(connection()), AdmitResult::QueueFull(_)));
        second.next().unwrap();
        admission.shutdown_workers();
        assert!(second.next().is_none());
        assert_eq!(admission.busy_workers(), 1);
    }

    #[test]
    fn admission_counts_a_worker_woken_for_an_empty_queue_as_idle() {
        let (admission, mut second) = admission_with_overtaken_wakeup();
        admission.shutdown_workers();
        assert!(second.next().is_none());
        assert_eq!(admission.busy_workers(), 1);
    }

    #[test]
    fn admission_rejects_connections_after_close() {
        let admission = Admission::new(1, 5).unwrap();
        let mut worker = admission.receiver();
        let _ = admission.admit(connection());
        worker.next().unwrap();
        let _ = admission.admit(connection());
        assert_eq!(admission.close().len(), 1);
        assert!(matches!(admission.admit(connection()), AdmitResult::ShuttingDown(_)));
        assert_eq!(admission.waiting(), 0);
        admission.shutdown_workers();
        assert!(worker.next().is_none());
        assert_eq!(admission.busy_workers(), 0);
    }

    #[test]
    fn admission_expires_only_connections_accepted_before_the_cutoff() {
        let admission = Admission::new(1, 5).unwrap();
        let mut worker = admission.receiver();
        let _ = admission.admit(connection());
        worker.next().unwrap();
        let _ = admission.admit(connection());
        let cutoff = Instant::now() + Duration::from_secs(1);
        let _ = admission.admit(AcceptedConnection { accepted_at: cutoff, ..connection() });
        assert_eq!(admission.take_expired(cutoff).len(), 1);
        assert_eq!(admission.waiting(), 1);
    }
}
