//! Gives sessions to workers: the readiness set, the connections that it serves by number, and the loop of a
//! worker.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::error;

use super::admission::{AcceptedConnection, ConnectionPermit};
use super::connection::ConnectionTask;
use super::state::ServerState;
use crate::platform::readiness::{ReadinessSet, Ready, Waiter, Work};

/// Number of maps among which the connections are distributed, so that workers seldom wait for the lock of
/// one.
const SHARDS: usize = 16;

/// The connections that a server serves. A connection is in exactly one of these places: in the readiness
/// set, in its queue, or with a worker ([`TurnState`](crate::platform::turn_state::TurnState)).
pub(crate) struct Scheduler {
    readiness: Arc<ReadinessSet>,
    connections: [Mutex<HashMap<u64, Arc<ConnectionTask>>>; SHARDS],
    /// Number of the connection that was started last; 0 before the first.
    last_id: AtomicU64,
    state: Arc<ServerState>,
}

impl Scheduler {
    /// Creates a scheduler without connections.
    ///
    /// # Errors
    /// Those of [`ReadinessSet::new`].
    pub(crate) fn new(state: Arc<ServerState>) -> io::Result<Self> {
        Ok(Self {
            readiness: Arc::new(ReadinessSet::new()?),
            connections: std::array::from_fn(|_| Mutex::default()),
            last_id: AtomicU64::new(0),
            state,
        })
    }

    /// Starts to serve a connection: it waits for its first bytes.
    pub(crate) fn start(&self, connection: AcceptedConnection, permit: ConnectionPermit) {
        let id = self.last_id.fetch_add(1, Relaxed) + 1;
        let peer = connection.peer;
        let task = Arc::new(ConnectionTask::new(id, connection, permit, &self.readiness, &self.state));
        self.shard(id).insert(id, Arc::clone(&task));
        if let Err(error) = self.readiness.add(task.socket(), id) {
            error!(session = id, peer:%; "#{id} {peer} cannot be served: {error}");
            self.remove(&task);
        }
    }

    /// Serves ready connections until [`stop_workers`](Self::stop_workers).
    pub(crate) fn run_worker(&self) {
        for work in Waiter::new(&self.readiness) {
            // A panic here must not end the thread: the pool would lose a worker.
            match work {
                Work::Session(ready) => {
                    if catch_unwind(AssertUnwindSafe(|| self.serve(ready))).is_err() {
                        error!("worker panicked outside an endpoint; the connection was closed");
                        self.remove_by_id(ready.id);
                    }
                }
                Work::Task(task) => {
                    if catch_unwind(AssertUnwindSafe(|| task.run(&self.readiness))).is_err() {
                        error!("worker panicked in a task");
                    }
                }
            }
        }
    }

    /// Ends the workers: waiting ones now, others after their current turn.
    pub(crate) fn stop_workers(&self) {
        self.readiness.close();
    }

    /// Gives a connection its turns until it waits.
    fn serve(&self, ready: Ready) {
        let task = self.shard(ready.id).get(&ready.id).map(Arc::clone);
        // Events of a connection that has ended meanwhile have no effect.
        if let Some(task) = task
            && task.run(ready.cause, &self.readiness, &self.state)
        {
            self.remove(&task);
        }
    }

    fn remove_by_id(&self, id: u64) {
        let task = self.shard(id).get(&id).map(Arc::clone);
        if let Some(task) = task {
            self.remove(&task);
        }
    }

    /// Ends a connection, and wakes one that waited for its place.
    fn remove(&self, task: &ConnectionTask) {
        self.shard(task.id()).remove(&task.id());
        task.end(&self.readiness, &self.state);
        self.state.admission.leave_queue(task.id());
        while let Some(id) = self.state.admission.grant_next() {
            let next = self.shard(id).get(&id).map(Arc::clone);
            match next {
                Some(next) => next.wake(),
                None => self.state.admission.leave_queue(id),
            }
        }
    }

    /// Locks the map of a connection. A panic leaves a map consistent.
    fn shard(&self, id: u64) -> MutexGuard<'_, HashMap<u64, Arc<ConnectionTask>>> {
        let index = usize::try_from(id % SHARDS as u64).unwrap_or_default();
        self.connections[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
