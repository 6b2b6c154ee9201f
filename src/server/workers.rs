//! The workers: a fixed pool of threads. Each takes the connections that are ready, one turn at a time.

use std::convert::Infallible;
use std::sync::Arc;

use crossbeam_channel::bounded;
use threadpool::ThreadPool;

use super::scheduler::Scheduler;
use crate::error::Error;
use crate::platform::limits;
use crate::platform::quiet_panic::catch_quietly;

/// Size of a worker's stack, in bytes of address space. Only touched pages take memory.
const STACK_SIZE: usize = 256 << 10;

/// Number of threads that are started before waiting until they run.
const BATCH: usize = 16;

/// Address space that a batch may take, in bytes (`ulimit -v`). Without this check the threads that begin to
/// run when it is used up abort the process: the standard library does so if a thread has no room for its
/// signal stack.
const BATCH_ADDRESS_SPACE: u64 = 2 * (BATCH * STACK_SIZE) as u64;

/// The workers of one server. Dropping them ends each worker after its current turn.
pub(crate) struct Workers {
    /// The threads. Each runs one job for the lifetime of the server; the pool ends a thread without a job.
    pool: ThreadPool,
    scheduler: Arc<Scheduler>,
}

impl Workers {
    /// Starts `count` threads with this name and blocks until all of them run.
    ///
    /// # Errors
    /// [`Error::Threads`] if a thread cannot be started.
    pub(crate) fn start(name: String, count: usize, scheduler: &Arc<Scheduler>) -> Result<Self, Error> {
        let pool = build_pool(name, STACK_SIZE).ok_or(Error::Threads { workers: count, started: 0 })?;
        let mut workers = Self { pool, scheduler: Arc::clone(scheduler) };
        for first in (0..count).step_by(BATCH) {
            workers.start_batch(first, count)?;
        }
        Ok(workers)
    }

    /// Starts the workers with the numbers from `first`, and blocks until they run.
    fn start_batch(&mut self, first: usize, workers: usize) -> Result<(), Error> {
        if limits::free_address_space().is_some_and(|free| free < BATCH_ADDRESS_SPACE) {
            return Err(Error::Threads { workers, started: first });
        }
        let (starting, all_started) = bounded::<Infallible>(0);
        for started in first..workers.min(first + BATCH) {
            catch_quietly(|| self.pool.set_num_threads(started + 1))
                .ok_or(Error::Threads { workers, started })?;
            let (scheduler, starting) = (Arc::clone(&self.scheduler), starting.clone());
            // The job runs for the lifetime of the server; the pool ends a thread without a job.
            self.pool.execute(move || {
                drop(starting);
                scheduler.run_worker();
            });
        }
        drop(starting);
        // No value is sent. This returns an error when all senders are dropped, that is when all workers run.
        let _ = all_started.recv();
        Ok(())
    }

    /// Returns the scheduler that the workers serve.
    pub(crate) fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.scheduler.stop_workers();
    }
}

/// Builds the thread pool with one thread. threadpool panics if the system cannot start a thread; that
/// becomes `None`, without a panic message.
fn build_pool(name: String, stack_size: usize) -> Option<ThreadPool> {
    let builder = threadpool::Builder::new().num_threads(1).thread_name(name).thread_stack_size(stack_size);
    catch_quietly(|| builder.build())
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
