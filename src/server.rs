//! The server: accepts, and hands each connection to whoever deals with it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use log::{debug, warn};

use crate::admission::{Admission, Arrival, Decision};
use crate::behavior::Routes;
use crate::certificate::Certificate;
use crate::config::Config;
use crate::error::Error;
use crate::listener::{Listener, Listeners, Waker};
use crate::machine;
use crate::metrics::Summary;
use crate::refusal::{Lane, Reason};
use crate::scheduling::Policy;
use crate::session::{Context, Event};
use crate::stop::Stop;
use crate::supervisor::Supervisor;
use crate::workers::Workers;

/// Events that may wait for the supervisor before the sessions wait for it.
const EVENT_BACKLOG: usize = 4096;

/// Pause after an accept that failed for want of descriptors or memory: it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often such a failure is logged.
const ACCEPT_COMPLAINT: Duration = Duration::from_secs(10);

/// Longest time that a blocking send takes before it reports what it has sent so far, if that is less than a quarter
/// of the write time-out: it makes progress visible to the supervisor, and ends nothing.
const SEND_REPORT: Duration = Duration::from_secs(1);

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
    pub fn start(self) -> Result<Started, Error> {
        let Self { listeners, config, routes } = self;
        let entrances = listeners.into_iter().map(Entrance::new).collect::<Result<Vec<_>, _>>()?;
        let port = entrances.first().map_or(0, |entrance| entrance.waker.port());
        let (events, inbox) = bounded(EVENT_BACKLOG);
        let context = Arc::new(Context {
            config: Arc::new(config),
            routes,
            events,
            published: Arc::default(),
            ids: AtomicU64::new(0),
        });
        let workers = Workers::start(format!("ws:{port}"), &context)?;
        Ok(Started { entrances, port, workers, context, inbox })
    }

    /// Starts the workers, and serves until asked to stop.
    pub fn run(self, stop: &Stop) -> Result<Summary, Error> {
        self.start()?.run(stop)
    }
}

/// A server whose workers wait for connections: what is left to do takes no time.
pub struct Started {
    /// Where connections come in.
    entrances: Vec<Entrance>,
    /// The port of the first, part of the threads' names.
    port: u16,
    /// The workers.
    workers: Workers,
    /// What its sessions share.
    context: Arc<Context>,
    /// What they tell the supervisor.
    inbox: Receiver<Event>,
}

impl Started {
    /// Serves until asked to stop, then closes every session, and returns when the last one is gone or the drain
    /// deadline has passed.
    pub fn run(self, stop: &Stop) -> Result<Summary, Error> {
        let Self { entrances, port, workers, context, inbox } = self;
        let (count, waiting) = (context.config.workers, context.config.waiting);
        let refused = |_| Error::Threads { workers: count };
        let (lane, lane_thread) =
            Lane::start(format!("ws:{port}:503"), machine::spare_files(count + waiting)).map_err(refused)?;
        let supervisor = Supervisor::new(
            Arc::clone(&context),
            inbox,
            Arc::clone(workers.admission()),
            lane.clone(),
            entrances.iter().map(|entrance| entrance.waker.clone()).collect(),
        );
        let stop_seen = stop.clone();
        let supervisor = thread::Builder::new()
            .name(format!("ws:{port}:sup"))
            .spawn(move || supervisor.run(&stop_seen))
            .map_err(refused)?;
        let door = Door { admission: Arc::clone(workers.admission()), lane, context };
        let opened = open(entrances, &door, stop);
        drop(door);
        let summary = supervisor.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // Ends by itself: every sender of the lane is gone. A panic in there has been printed.
        let _ = lane_thread.join();
        opened.map(|()| summary)
    }
}

/// Runs an accept loop for each entrance, the first of them on this thread, until asked to stop. A loop for which
/// there is no thread stops the server.
fn open(entrances: Vec<Entrance>, door: &Door, stop: &Stop) -> Result<(), Error> {
    let mut entrances = entrances.into_iter();
    let first = entrances.next();
    let threads: Vec<_> = entrances.map(|entrance| start_accepting(entrance, door, stop)).collect();
    if let Some(entrance) = first {
        door.accept(entrance, stop);
    }
    threads.into_iter().try_for_each(|thread| {
        let ended = thread?.join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(())
    })
}

/// Starts a thread with an accept loop.
fn start_accepting(entrance: Entrance, door: &Door, stop: &Stop) -> Result<JoinHandle<()>, Error> {
    let name = format!("ws:{}:acc", entrance.waker.port());
    let (its_door, its_stop) = (door.clone(), stop.clone());
    let started = thread::Builder::new().name(name).spawn(move || its_door.accept(entrance, &its_stop));
    started.map_err(|_| {
        stop.request();
        let _ = door.context.events.send(Event::ListenerDone);
        Error::Threads { workers: door.context.config.workers }
    })
}

/// A listener with an accept loop.
struct Entrance {
    /// The listener, and how its loop is woken.
    waker: Waker,
    /// What TLS shows; `None` where none is spoken.
    certificate: Option<Arc<Certificate>>,
}

impl Entrance {
    /// Of a listener that is bound.
    fn new(listener: Listener) -> Result<Self, Error> {
        let Listener { socket, certificate } = listener;
        let waker =
            Waker::new(socket).map_err(|source| Error::Listen { address: "the socket".into(), source })?;
        Ok(Self { waker, certificate })
    }
}

/// Who deals with those who come in, whichever way they came.
#[derive(Clone)]
struct Door {
    /// Calls the workers.
    admission: Arc<Admission>,
    /// For those who cannot be served.
    lane: Lane,
    /// What their sessions share.
    context: Arc<Context>,
}

impl Door {
    /// Accepts until asked to stop. Nobody who had connected by then is left without an answer.
    fn accept(&self, entrance: Entrance, stop: &Stop) {
        // Owned, so that the listener closes when its loop ends.
        let Entrance { waker, certificate } = entrance;
        // Clients that connect have nothing to gain from an accept in the middle of it: the kernel has let them in.
        Policy::Batch.apply();
        let mut complained: Option<Instant> = None;
        let mut yielded = false;
        loop {
            match waker.listener().accept() {
                Ok((_, peer)) if waker.is_waker(peer) => {}
                Ok((socket, peer)) => {
                    let tls = certificate.as_deref().map(Certificate::config);
                    self.admit(Arrival { socket, peer, at: Instant::now(), tls });
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
                        waker.wait();
                    } else {
                        thread::yield_now();
                    }
                    yielded = !yielded;
                }
                Err(e) => {
                    if complained.is_none_or(|at| at.elapsed() >= ACCEPT_COMPLAINT) {
                        warn!("cannot accept connections: {e}; raise `ulimit -n`, or use fewer --workers");
                        complained = Some(Instant::now());
                    }
                    thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
        Policy::Normal.apply();
        let _ = self.context.events.send(Event::ListenerDone);
    }

    /// Hands a connection to whoever deals with it.
    fn admit(&self, arrival: Arrival) {
        // Only a connection that is gone already refuses these.
        let prepared = arrival
            .socket
            .set_nodelay(true)
            .and_then(|()| arrival.socket.set_write_timeout(Some(self.send_report())))
            .and_then(|()| arrival.socket.set_nonblocking(false));
        if let Err(error) = prepared {
            debug!("{} went before it was served: {error}", arrival.peer);
            return;
        }
        match self.admission.admit(arrival) {
            Decision::Taken => {}
            Decision::Full(arrival) => self.refuse(arrival, Reason::Full),
            Decision::Closed(arrival) => self.refuse(arrival, Reason::Stopping),
        }
    }

    /// After how long a blocking send reports.
    fn send_report(&self) -> Duration {
        // Zero would mean never.
        (self.context.config.write_timeout / 4).clamp(Duration::from_millis(1), SEND_REPORT)
    }

    /// Sends somebody away.
    fn refuse(&self, arrival: Arrival, reason: Reason) {
        let _ = self.context.events.send(Event::Refused(reason));
        self.lane.refuse(arrival, reason);
    }
}
