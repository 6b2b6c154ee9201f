//! The workers: a fixed pool of threads, each of which serves one connection after the other.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::bounded;
use log::error;
use threadpool::ThreadPool;

use super::admission::{Admission, ConnectionReceiver};
use super::connection::serve;
use super::state::ServerState;
use crate::error::Error;
use crate::platform::scheduling::Policy;

/// Address space for a worker's stack, in bytes. Only what is touched takes memory.
const STACK: usize = 256 << 10;

/// The workers of one server, who wait to be called. Dropping them lets them go, each as soon as it is idle.
pub(crate) struct Workers {
    /// The threads. Each has one job, which lasts as long as the server; with no job left, the pool ends them.
    _pool: ThreadPool,
    /// Calls them.
    admission: Arc<Admission>,
}

impl Workers {
    /// Starts threads of that name, as many as the configuration says, and returns when all of them run.
    pub(crate) fn start(name: String, state: &Arc<ServerState>) -> Result<Self, Error> {
        let config = &state.config;
        let admission = Admission::new(config.workers, config.waiting).map_err(Error::Files)?;
        let pool = pool(config.workers, name)?;
        let (running, all_run) = bounded::<Infallible>(0);
        for _ in 0..config.workers {
            let (receiver, state, running) = (admission.receiver(), Arc::clone(state), running.clone());
            pool.execute(move || {
                drop(running);
                work(receiver, &state);
            });
        }
        drop(running);
        // Nothing is ever sent: this ends when the last of them has let go.
        let _ = all_run.recv();
        Ok(Self { _pool: pool, admission })
    }

    /// Who calls them.
    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.admission.shutdown_workers();
    }
}

/// A pool of so many threads. It panics when the system refuses one.
fn pool(workers: usize, name: String) -> Result<ThreadPool, Error> {
    let builder = threadpool::Builder::new().num_threads(workers).thread_name(name).thread_stack_size(STACK);
    catch_unwind(AssertUnwindSafe(|| builder.build())).map_err(|_| Error::Threads { workers })
}

/// A worker's job: one connection after the other, until the server has stopped.
fn work(receiver: ConnectionReceiver, state: &ServerState) {
    Policy::Batch.apply();
    for arrival in receiver {
        // Whatever goes wrong around a session, the pool keeps its worker.
        if catch_unwind(AssertUnwindSafe(|| serve(arrival, state))).is_err() {
            error!("a connection ended with a panic");
        }
        // The session may have put this thread under another policy.
        Policy::Batch.apply();
    }
}
