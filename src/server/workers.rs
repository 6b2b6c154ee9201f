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
use crate::platform::limits;
use crate::platform::quiet_panic::catch_quietly;
use crate::platform::scheduling::Policy;

/// Size of a worker's stack, in bytes of address space. Only touched pages take memory.
const STACK_SIZE: usize = 256 << 10;

/// Number of threads that are started before waiting until they run.
const BATCH: usize = 16;

/// Address space that a batch may take, in bytes (`ulimit -v`). Without this check the threads that begin to run when
/// it is used up abort the process: the standard library does so if a thread has no room for its signal stack.
const BATCH_ADDRESS_SPACE: u64 = 2 * (BATCH * STACK_SIZE) as u64;

/// The workers of one server. Dropping them ends each worker as soon as it is idle.
pub(crate) struct Workers {
    /// The threads. Each runs one job for the lifetime of the server; the pool ends a thread without a job.
    pool: ThreadPool,
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
        let pool =
            build_pool(name, STACK_SIZE).ok_or(Error::Threads { workers: config.workers, started: 0 })?;
        let mut workers = Self { pool, admission };
        for first in (0..config.workers).step_by(BATCH) {
            workers.start_batch(first, state)?;
        }
        Ok(workers)
    }

    /// Starts the workers with the numbers from `first`, and blocks until they run.
    fn start_batch(&mut self, first: usize, state: &Arc<ServerState>) -> Result<(), Error> {
        let workers = state.config.workers;
        if limits::free_address_space().is_some_and(|free| free < BATCH_ADDRESS_SPACE) {
            return Err(Error::Threads { workers, started: first });
        }
        let (starting, all_started) = bounded::<Infallible>(0);
        for started in first..workers.min(first + BATCH) {
            catch_quietly(|| self.pool.set_num_threads(started + 1))
                .ok_or(Error::Threads { workers, started })?;
            let (receiver, state, starting) =
                (self.admission.receiver(), Arc::clone(state), starting.clone());
            self.pool.execute(move || {
                drop(starting);
                run_worker(receiver, &state);
            });
        }
        drop(starting);
        // No value is sent. This returns an error when all senders are dropped, that is when all workers run.
        let _ = all_started.recv();
        Ok(())
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

/// Builds the thread pool with one thread. threadpool panics if the system cannot start a thread; that becomes `None`,
/// without a panic message.
fn build_pool(name: String, stack_size: usize) -> Option<ThreadPool> {
    let builder = threadpool::Builder::new().num_threads(1).thread_name(name).thread_stack_size(stack_size);
    catch_quietly(|| builder.build())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_that_cannot_be_started_is_no_pool() {
        // More than the address space of a process.
        assert!(build_pool("test".into(), 1 << 60).is_none());
        assert!(build_pool("test".into(), STACK_SIZE).is_some());
    }
}
