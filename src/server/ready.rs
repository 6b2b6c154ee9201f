//! A server: bound, then with running workers ([`ReadyServer`]), then serving until the stop request.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use crossbeam_channel::{Receiver, bounded};

use super::accept::{Acceptor, ConnectionDispatcher, run_accept_loops};
use super::address_limit::AddressLimit;
use super::admin::{AdminThread, reserved_files};
use super::admission::Admission;
use super::listener::{Listener, Listeners, ListeningSocket};
use super::scheduler::Scheduler;
use super::shutdown::ShutdownSignal;
use super::state::{Event, ServerState};
use super::supervisor::Supervisor;
use super::workers::Workers;
use crate::config::Config;
use crate::endpoints::routes::Routes;
use crate::error::Error;
use crate::metrics::summary::Summary;
use crate::platform::limits;
use crate::platform::memory_budget::MemoryBudget;
use crate::platform::service_manager::ServiceManager;
use crate::rooms::threads::{RESERVED_FILES, RelayThreads, share_rooms};

/// Capacity of the channel to the supervisor. Workers and accept loops block while the channel is full.
const EVENT_QUEUE_CAPACITY: usize = 4096;

/// A server with bound listeners and no threads.
pub struct Server {
    listeners: Vec<Listener>,
    admin: Vec<ListeningSocket>,
    service_manager: Option<ServiceManager>,
    config: Config,
    routes: Routes,
}

impl Server {
    /// Creates a server with the standard endpoints on one or more bound listeners.
    #[must_use]
    pub fn new(listeners: impl Into<Listeners>, config: Config) -> Self {
        let listeners = listeners.into().0;
        Self { listeners, admin: Vec::new(), service_manager: None, config, routes: Routes::standard() }
    }

    /// Replaces the routes.
    #[must_use]
    pub fn with_routes(self, routes: Routes) -> Self {
        Self { routes, ..self }
    }

    /// Adds sockets on which a thread of its own answers `/livez`, `/readyz`, `/health` and `/metrics`, from
    /// [`start`](Self::start) to the end of [`ReadyServer::run`].
    #[must_use]
    pub fn with_admin(self, admin: Vec<ListeningSocket>) -> Self {
        Self { admin, ..self }
    }

    /// Reports to a service manager: readiness, stop, numbers of connections, and that the supervisor runs.
    #[must_use]
    pub fn with_service_manager(self, service_manager: Option<ServiceManager>) -> Self {
        Self { service_manager, ..self }
    }

    /// Starts the workers and blocks until all of them run. Connections wait in the backlog of the listener
    /// until [`ReadyServer::run`].
    ///
    /// # Errors
    /// [`Error::Listen`], [`Error::Files`], [`Error::Threads`] or [`Error::Thread`] if sockets, the readiness
    /// set or threads cannot be set up; [`Error::Rooms`] if the Redis of the rooms cannot be reached.
    pub fn start(self) -> Result<ReadyServer, Error> {
        let Self { listeners, admin, service_manager, config, routes } = self;
        let acceptors = listeners.into_iter().map(Acceptor::new).collect::<Result<Vec<_>, _>>()?;
        let label = acceptors.first().map_or_else(String::new, |acceptor| acceptor.listener.label());
        let (event_sender, events) = bounded(EVENT_QUEUE_CAPACITY);
        let rooms_files = if config.rooms.is_some() { RESERVED_FILES } else { 0 };
        let used = config.connections.saturating_add(config.waiting);
        let reserved = reserved_files(admin.len()) + rooms_files;
        let spare_files = limits::spare_files(used.saturating_add(reserved));
        let admission = Admission::new(config.connections, config.waiting, spare_files);
        let state = Arc::new(ServerState {
            memory: MemoryBudget::new(config.memory.unwrap_or_else(limits::default_memory)),
            address_limit: config.max_per_ip.map(AddressLimit::new),
            config: Arc::new(config),
            admission,
            routes,
            events: event_sender,
            snapshot: Arc::default(),
            stopping: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        });
        let scheduler = Scheduler::new(Arc::clone(&state)).map_err(Error::Files)?;
        let prefix = format!("ws:{label}");
        let workers = Workers::start(prefix.clone(), state.config.workers, &Arc::new(scheduler))?;
        let admin = if admin.is_empty() { None } else { Some(AdminThread::start(admin, &state)?) };
        let share = |url| {
            let lost = state.config.rooms_lost;
            share_rooms(state.routes.rooms(), url, lost, &state.memory, &prefix)
        };
        let relay = state.config.rooms.as_ref().map(share).transpose()?.flatten();
        Ok(ReadyServer { acceptors, label, workers, state, events, admin, relay, service_manager })
    }

    /// Starts the workers and serves until the stop request. Blocks like [`ReadyServer::run`].
    ///
    /// # Errors
    /// Those of [`start`](Self::start) and [`ReadyServer::run`].
    pub fn run(self, stop: &ShutdownSignal) -> Result<Summary, Error> {
        self.start()?.run(stop)
    }
}

/// A server whose workers run and wait for connections.
pub struct ReadyServer {
    acceptors: Vec<Acceptor>,
    /// Port of the first listener, or `unix`; part of the thread names.
    label: String,
    workers: Workers,
    state: Arc<ServerState>,
    /// The supervisor's end of the event channel.
    events: Receiver<Event>,
    admin: Option<AdminThread>,
    /// The threads that share the rooms with other instances.
    relay: Option<RelayThreads>,
    service_manager: Option<ServiceManager>,
}

impl ReadyServer {
    /// Serves until the stop request, then drains. Blocks until the last session has ended or the drain
    /// time-out has passed. Returns the totals.
    ///
    /// # Errors
    /// [`Error::Thread`] if a thread cannot be started.
    ///
    /// # Panics
    /// If the supervisor or an accept loop panicked.
    pub fn run(self, stop: &ShutdownSignal) -> Result<Summary, Error> {
        let Self { acceptors, label, workers, state, events, admin, relay, service_manager } = self;
        let thread_error = |purpose| move |source| Error::Thread { purpose, source };
        let supervisor = Supervisor::new(
            Arc::clone(&state),
            events,
            acceptors.iter().map(|acceptor| acceptor.listener.clone()).collect(),
            service_manager,
        );
        let supervisor_stop = stop.clone();
        let supervisor_thread = thread::Builder::new()
            .name(format!("ws:{label}:sup"))
            .spawn(move || supervisor.run(&supervisor_stop))
            .map_err(thread_error("supervision"))?;
        let scheduler = Arc::clone(workers.scheduler());
        let dispatcher = ConnectionDispatcher { scheduler, state };
        let accepted = run_accept_loops(acceptors, &dispatcher, stop);
        drop(dispatcher);
        let summary = supervisor_thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // After the sessions: what they have sent to rooms is published.
        drop((admin, relay));
        accepted.map(|()| summary)
    }
}
