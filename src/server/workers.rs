//! The workers: a fixed pool of threads. Each runs one connection at a time, from its first byte to its last.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::bounded;
use log::error;
use threadpool::ThreadPool;

use super::admission::{Admission, ConnectionReceiver};
use super::connection::run_connection;
use super::state::ServerState;
use crate::error::Error;
use crate::platform::scheduling::Policy;

/// Size of a worker's stack, in bytes of address space. Only touched pages take memory.
const STACK_SIZE: usize = 256 << 10;

/// The workers of one server. Dropping them ends each worker as soon as it is idle.
pub(crate) struct Workers {
    /// The threads. Each runs one job until [`Admission::shutdown_workers`]. After its job a thread ends when
    /// the pool is dropped.
    _pool: ThreadPool,
    admission: Arc<Admission>,
}

impl Workers {
    /// Starts `config.workers` threads with this name and blocks until all of them run.
    ///
    /// # Errors
    /// [`Error::Files`] if the pipe semaphore cannot be opened, [`Error::Threads`] if a thread cannot be
    /// started.
    pub(crate) fn start(name: String, state: &Arc<ServerState>) -> Result<Self, Error> {
        let config = &state.config;
        let admission = Admission::new(config.workers, config.waiting).map_err(Error::Files)?;
        let pool = build_pool(config.workers, name)?;
        let (starting, all_started) = bounded::<Infallible>(0);
        for _ in 0..config.workers {
            let (receiver, state, starting) = (admission.receiver(), Arc::clone(state), starting.clone());
            pool.execute(move || {
                drop(starting);
                run_worker(receiver, &state);
            });
        }
        drop(starting);
        // No value is sent. This returns an error when all senders are dropped, that is when all workers run.
        let _ = all_started.recv();
        Ok(Self { _pool: pool, admission })
    }

    /// Returns the queue from which the workers take connections.
    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.admission.shutdown_workers();
    }
}

/// Builds the thread pool. threadpool panics if the system cannot start a thread; that becomes
/// [`Error::Threads`].
fn build_pool(workers: usize, name: String) -> Result<ThreadPool, Error> {
    let builder =
        threadpool::Builder::new().num_threads(workers).thread_name(name).thread_stack_size(STACK_SIZE);
    catch_unwind(AssertUnwindSafe(|| builder.build())).map_err(|_| Error::Threads { workers })
}

/// The job of a worker: runs connections until [`Admission::shutdown_workers`].
fn run_worker(receiver: ConnectionReceiver, state: &ServerState) {
    Policy::Batch.apply();
    for connection in receiver {
        // A panic outside the handler must not end the thread: the pool would lose a worker.
        if catch_unwind(AssertUnwindSafe(|| run_connection(connection, state))).is_err() {
            error!("worker panicked outside a handler; the connection was closed");
        }
        // The session may have changed the policy of this thread.
        Policy::Batch.apply();
    }
}
