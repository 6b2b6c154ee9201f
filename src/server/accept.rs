//! The accept loops: each accepts connections of one listener and hands them to the scheduler.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{debug, warn};

use super::admission::AcceptedConnection;
use super::listener::{InterruptibleListener, Listener};
use super::scheduler::Scheduler;
use super::shutdown::ShutdownSignal;
use super::state::{Event, ServerState};
use crate::error::Error;
use crate::tls::certificate::Certificate;

/// Pause after an accept that failed because descriptors or memory ran out: the next accept would fail at
/// once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Minimum time between two log lines about failed accepts.
const ACCEPT_ERROR_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Runs one accept loop per acceptor and blocks until all of them have ended, after a stop request. The first
/// loop runs on the calling thread, each other one on a thread of its own.
///
/// # Errors
/// [`Error::Thread`] if a thread could not be started. This requests the stop of the server.
pub(super) fn run_accept_loops(
    acceptors: Vec<Acceptor>,
    dispatcher: &ConnectionDispatcher,
    stop: &ShutdownSignal,
) -> Result<(), Error> {
    let mut acceptors = acceptors.into_iter();
    let first = acceptors.next();
    let threads: Vec<_> = acceptors.map(|acceptor| spawn_accept_loop(acceptor, dispatcher, stop)).collect();
    if let Some(acceptor) = first {
        dispatcher.run_accept_loop(acceptor);
    }
    threads.into_iter().try_for_each(|thread| {
        thread?.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(())
    })
}

/// Starts a thread with an accept loop. On failure, requests the stop of the server.
fn spawn_accept_loop(
    acceptor: Acceptor,
    dispatcher: &ConnectionDispatcher,
    stop: &ShutdownSignal,
) -> Result<JoinHandle<()>, Error> {
    let name = format!("ws:{}:acc", acceptor.listener.label());
    let thread_dispatcher = dispatcher.clone();
    let spawned =
        thread::Builder::new().name(name).spawn(move || thread_dispatcher.run_accept_loop(acceptor));
    spawned.map_err(|source| {
        stop.request();
        let _ = dispatcher.state.events.send(Event::AcceptLoopEnded);
        Error::Thread { purpose: "a listener", source }
    })
}

/// A bound listener that is ready for its accept loop.
pub(super) struct Acceptor {
    pub(super) listener: InterruptibleListener,
    /// The certificate of a TLS listener; `None` for plain TCP.
    certificate: Option<Arc<Certificate>>,
}

impl Acceptor {
    /// Sets the listener to non-blocking mode.
    ///
    /// # Errors
    /// [`Error::Listen`] if a system call on the socket fails.
    pub(super) fn new(listener: Listener) -> Result<Self, Error> {
        let Listener { socket, certificate } = listener;
        let listener = InterruptibleListener::new(socket)
            .map_err(|source| Error::Listen { address: "the socket".into(), source })?;
        Ok(Self { listener, certificate })
    }
}

/// Hands accepted connections to the scheduler. All accept loops share it.
#[derive(Clone)]
pub(super) struct ConnectionDispatcher {
    pub(super) scheduler: Arc<Scheduler>,
    /// The configuration and the channel to the supervisor.
    pub(super) state: Arc<ServerState>,
}

impl ConnectionDispatcher {
    /// Accepts connections until an accept fails after the begin of the drain. Usually the backlog of the
    /// kernel is empty then: connections that were complete at the begin of the drain get a response. From a
    /// shared socket, accepts none after the stop request.
    fn run_accept_loop(&self, acceptor: Acceptor) {
        // Owned, so that the listener closes when its loop ends.
        let Acceptor { listener, certificate } = acceptor;
        let mut last_accept_error_log: Option<Instant> = None;
        let mut yielded = false;
        loop {
            // Another process accepts what is in the backlog, and what comes later.
            if listener.is_shared() && self.state.stopping.load(SeqCst) {
                break;
            }
            match listener.accept() {
                Ok((socket, peer)) => {
                    let tls = certificate.as_deref().map(Certificate::config);
                    self.dispatch(AcceptedConnection { socket, peer, tls });
                    yielded = false;
                }
                // The peer reset the connection before it was accepted, or a signal arrived.
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
                // Any other error ends the loop during the drain. `WouldBlock` means that all connections
                // of the backlog were accepted.
                Err(_) if self.state.draining.load(SeqCst) => break,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // One yield before blocking: in a storm the next connection is there when the workers
                    // have run, and needs no wake-up of this thread.
                    if yielded {
                        listener.wait_readable();
                    } else {
                        thread::yield_now();
                    }
                    yielded = !yielded;
                }
                Err(e) => {
                    if last_accept_error_log.is_none_or(|at| at.elapsed() >= ACCEPT_ERROR_LOG_INTERVAL) {
                        warn!(
                            "cannot accept connections: {e}; raise `ulimit -n`, or use fewer --connections"
                        );
                        last_accept_error_log = Some(Instant::now());
                    }
                    thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
        let _ = self.state.events.send(Event::AcceptLoopEnded);
    }

    /// Starts to serve the connection. Closes it if there are too many.
    fn dispatch(&self, connection: AcceptedConnection) {
        if let Some(permit) = self.state.admission.enter() {
            return self.scheduler.start(connection, permit);
        }
        let peer = connection.peer;
        debug!(peer:%; "{peer} closed without a response: too many connections");
        let _ = self.state.events.send(Event::Overflowed);
    }
}
