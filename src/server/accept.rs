//! The accept loops.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{debug, warn};

use super::admission::{AcceptedConnection, Admission, AdmitResult};
use super::listener::{AcceptInterrupt, Listener};
use super::rejector::{RejectReason, Rejector};
use super::shutdown::ShutdownSignal;
use super::state::{Event, ServerState};
use crate::error::Error;
use crate::platform::scheduling::Policy;
use crate::tls::certificate::Certificate;

/// Pause after an accept that failed for want of descriptors or memory: it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often such a failure is logged.
const ACCEPT_ERROR_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Longest time that a blocking send takes before it reports what it has sent so far, if that is less than a quarter
/// of the write time-out: it makes progress visible to the supervisor, and ends nothing.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs an accept loop for each entrance, the first of them on this thread, until asked to stop. A loop for which
/// there is no thread stops the server.
pub(super) fn run_accept_loops(
    acceptors: Vec<Acceptor>,
    dispatcher: &ConnectionDispatcher,
    stop: &ShutdownSignal,
) -> Result<(), Error> {
    let mut acceptors = acceptors.into_iter();
    let first = acceptors.next();
    let threads: Vec<_> = acceptors.map(|acceptor| start_accepting(acceptor, dispatcher, stop)).collect();
    if let Some(acceptor) = first {
        dispatcher.run_accept_loop(acceptor, stop);
    }
    threads.into_iter().try_for_each(|thread| {
        let ended = thread?.join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(())
    })
}

/// Starts a thread with an accept loop.
fn start_accepting(
    acceptor: Acceptor,
    dispatcher: &ConnectionDispatcher,
    stop: &ShutdownSignal,
) -> Result<JoinHandle<()>, Error> {
    let name = format!("ws:{}:acc", acceptor.interrupt.port());
    let (its_dispatcher, its_stop) = (dispatcher.clone(), stop.clone());
    let started =
        thread::Builder::new().name(name).spawn(move || its_dispatcher.run_accept_loop(acceptor, &its_stop));
    started.map_err(|_| {
        stop.request();
        let _ = dispatcher.state.events.send(Event::ListenerDone);
        Error::Threads { workers: dispatcher.state.config.workers }
    })
}

/// A listener with an accept loop.
pub(super) struct Acceptor {
    /// The listener, and how its loop is woken.
    pub(super) interrupt: AcceptInterrupt,
    /// What TLS shows; `None` where none is spoken.
    certificate: Option<Arc<Certificate>>,
}

impl Acceptor {
    /// Of a listener that is bound.
    pub(super) fn new(listener: Listener) -> Result<Self, Error> {
        let Listener { socket, certificate } = listener;
        let interrupt = AcceptInterrupt::new(socket)
            .map_err(|source| Error::Listen { address: "the socket".into(), source })?;
        Ok(Self { interrupt, certificate })
    }
}

/// Who deals with those who come in, whichever way they came.
#[derive(Clone)]
pub(super) struct ConnectionDispatcher {
    /// Calls the workers.
    pub(super) admission: Arc<Admission>,
    /// For those who cannot be served.
    pub(super) rejector: Rejector,
    /// What their sessions share.
    pub(super) state: Arc<ServerState>,
}

impl ConnectionDispatcher {
    /// Accepts until asked to stop. Nobody who had connected by then is left without an answer.
    fn run_accept_loop(&self, acceptor: Acceptor, stop: &ShutdownSignal) {
        // Owned, so that the listener closes when its loop ends.
        let Acceptor { interrupt, certificate } = acceptor;
        // Clients that connect have nothing to gain from an accept in the middle of it: the kernel has let them in.
        Policy::Batch.apply();
        let mut last_error_log: Option<Instant> = None;
        let mut yielded = false;
        loop {
            match interrupt.listener().accept() {
                Ok((_, peer)) if interrupt.is_interrupt(peer) => {}
                Ok((socket, peer)) => {
                    let tls = certificate.as_deref().map(Certificate::config);
                    self.admit(AcceptedConnection { socket, peer, at: Instant::now(), tls });
                    yielded = false;
                }
                // The peer was gone before it was accepted.
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
                // Whoever was in the backlog has been let in to be told.
                Err(_) if stop.is_requested() => break,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // In a storm the next one is there once the workers have run, and has nobody to wake.
                    if yielded {
                        interrupt.wait();
                    } else {
                        thread::yield_now();
                    }
                    yielded = !yielded;
                }
                Err(e) => {
                    if last_error_log.is_none_or(|at| at.elapsed() >= ACCEPT_ERROR_LOG_INTERVAL) {
                        warn!("cannot accept connections: {e}; raise `ulimit -n`, or use fewer --workers");
                        last_error_log = Some(Instant::now());
                    }
                    thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
        Policy::Normal.apply();
        let _ = self.state.events.send(Event::ListenerDone);
    }

    /// Hands a connection to whoever deals with it.
    fn admit(&self, arrival: AcceptedConnection) {
        // Only a connection that is gone already refuses these.
        let prepared = arrival
            .socket
            .set_nodelay(true)
            .and_then(|()| arrival.socket.set_write_timeout(Some(self.send_timeout())))
            .and_then(|()| arrival.socket.set_nonblocking(false));
        if let Err(error) = prepared {
            debug!("{} went before it was served: {error}", arrival.peer);
            return;
        }
        match self.admission.admit(arrival) {
            AdmitResult::Queued => {}
            AdmitResult::QueueFull(arrival) => self.reject(arrival, RejectReason::Full),
            AdmitResult::ShuttingDown(arrival) => self.reject(arrival, RejectReason::Stopping),
        }
    }

    /// After how long a blocking send reports.
    fn send_timeout(&self) -> Duration {
        // Zero would mean never.
        (self.state.config.write_timeout / 4).clamp(Duration::from_millis(1), SEND_TIMEOUT)
    }

    /// Sends somebody away.
    fn reject(&self, arrival: AcceptedConnection, reason: RejectReason) {
        let _ = self.state.events.send(Event::Refused(reason));
        self.rejector.reject(arrival, reason);
    }
}
