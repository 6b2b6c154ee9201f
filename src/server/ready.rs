//! A server before it accepts, and its run.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;

use crossbeam_channel::{Receiver, bounded};

use super::accept::{Acceptor, ConnectionDispatcher, run_accept_loops};
use super::listener::{Listener, Listeners};
use super::rejector::Rejector;
use super::shutdown::ShutdownSignal;
use super::state::{Event, ServerState};
use super::supervisor::Supervisor;
use super::workers::Workers;
use crate::config::Config;
use crate::endpoints::routes::Routes;
use crate::error::Error;
use crate::metrics::summary::Summary;
use crate::platform::limits;

/// Events that may wait for the supervisor before the sessions wait for it.
const EVENT_BACKLOG: usize = 4096;

/// A server that is ready to run on listeners that are bound.
pub struct Server {
    /// Where connections come in.
    listeners: Vec<Listener>,
    /// Waits and limits.
    config: Config,
    /// Which path does what.
    routes: Routes,
}

impl Server {
    /// A server with the standard paths, on one listener or several.
    #[must_use]
    pub fn new(listeners: impl Into<Listeners>, config: Config) -> Self {
        Self { listeners: listeners.into().0, config, routes: Routes::standard() }
    }

    /// The same server with paths of one's own.
    #[must_use]
    pub fn with_routes(self, routes: Routes) -> Self {
        Self { routes, ..self }
    }

    /// Starts the workers. Whoever connects waits in the listener's backlog until the server runs.
    pub fn start(self) -> Result<ReadyServer, Error> {
        let Self { listeners, config, routes } = self;
        let acceptors = listeners.into_iter().map(Acceptor::new).collect::<Result<Vec<_>, _>>()?;
        let port = acceptors.first().map_or(0, |acceptor| acceptor.interrupt.port());
        let (events, inbox) = bounded(EVENT_BACKLOG);
        let state = Arc::new(ServerState {
            config: Arc::new(config),
            routes,
            events,
            published: Arc::default(),
            ids: AtomicU64::new(0),
        });
        let workers = Workers::start(format!("ws:{port}"), &state)?;
        Ok(ReadyServer { acceptors, port, workers, state, inbox })
    }

    /// Starts the workers, and serves until asked to stop.
    pub fn run(self, stop: &ShutdownSignal) -> Result<Summary, Error> {
        self.start()?.run(stop)
    }
}

/// A server whose workers wait for connections: what is left to do takes no time.
pub struct ReadyServer {
    /// Where connections come in.
    acceptors: Vec<Acceptor>,
    /// The port of the first, part of the threads' names.
    port: u16,
    /// The workers.
    workers: Workers,
    /// What its sessions share.
    state: Arc<ServerState>,
    /// What they tell the supervisor.
    inbox: Receiver<Event>,
}

impl ReadyServer {
    /// Serves until asked to stop, then closes every session, and returns when the last one is gone or the drain
    /// deadline has passed.
    pub fn run(self, stop: &ShutdownSignal) -> Result<Summary, Error> {
        let Self { acceptors, port, workers, state, inbox } = self;
        let (count, waiting) = (state.config.workers, state.config.waiting);
        let refused = |_| Error::Threads { workers: count };
        let (rejector, lane_thread) =
            Rejector::start(format!("ws:{port}:503"), limits::spare_files(count + waiting))
                .map_err(refused)?;
        let supervisor = Supervisor::new(
            Arc::clone(&state),
            inbox,
            Arc::clone(workers.admission()),
            rejector.clone(),
            acceptors.iter().map(|acceptor| acceptor.interrupt.clone()).collect(),
        );
        let stop_seen = stop.clone();
        let supervisor = thread::Builder::new()
            .name(format!("ws:{port}:sup"))
            .spawn(move || supervisor.run(&stop_seen))
            .map_err(refused)?;
        let dispatcher = ConnectionDispatcher { admission: Arc::clone(workers.admission()), rejector, state };
        let opened = run_accept_loops(acceptors, &dispatcher, stop);
        drop(dispatcher);
        let summary = supervisor.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // Ends by itself: every sender of the lane is gone. A panic in there has been printed.
        let _ = lane_thread.join();
        opened.map(|()| summary)
    }
}
