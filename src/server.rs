//! The server: listens, accepts, and hands each connection to whoever deals with it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use log::{debug, warn};
use socket2::{Domain, SockRef, Socket, Type};
use threadpool::ThreadPool;

use crate::admission::{Admission, Arrival, Decision};
use crate::behavior::Routes;
use crate::config::Config;
use crate::error::Error;
use crate::metrics::Summary;
use crate::refusal::{Lane, Reason};
use crate::session::{self, Context, Event};
use crate::stop::Stop;
use crate::supervisor::Supervisor;

/// Connections that the kernel completes before they are accepted; it caps this at `net.core.somaxconn`. The 128 of
/// the standard library lose SYNs in a storm, and each lost one waits a second.
const BACKLOG: i32 = 4096;

/// Address space for a worker's stack, in bytes. Only what is touched takes memory.
const WORKER_STACK: usize = 256 << 10;

/// Events that may wait for the supervisor before the sessions wait for it.
const EVENT_BACKLOG: usize = 4096;

/// Pause after an accept that failed for want of descriptors or memory: it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often such a failure is logged.
const ACCEPT_COMPLAINT: Duration = Duration::from_secs(10);

/// Longest time that a blocking send takes before it reports what it has sent so far: it makes progress visible to
/// the supervisor, and ends nothing.
const SEND_REPORT: Duration = Duration::from_secs(1);

/// How long it may take to wake an accept loop by connecting to it.
const WAKE_TIMEOUT: Duration = Duration::from_secs(1);

/// Listens on an address given as `HOST:PORT`, on the first of its resolutions that can be listened on.
pub fn listen(address: &str) -> Result<TcpListener, Error> {
    let fail = |source| Error::Listen { address: address.to_owned(), source };
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for resolved in address.to_socket_addrs().map_err(fail)? {
        match listen_on(resolved) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(fail(failure))
}

/// Listens with a backlog of our own.
fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restarted server must not wait for its predecessor's connections in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A server that is ready to run on listeners that are bound.
pub struct Server {
    /// Where connections come in.
    listener: TcpListener,
    /// Waits and limits.
    config: Config,
    /// Which path does what.
    routes: Routes,
}

impl Server {
    /// A server with the standard paths.
    #[must_use]
    pub fn new(listener: TcpListener, config: Config) -> Self {
        Self { listener, config, routes: Routes::standard() }
    }

    /// The same server with paths of one's own.
    #[must_use]
    pub fn with_routes(self, routes: Routes) -> Self {
        Self { routes, ..self }
    }

    /// Serves until asked to stop, then closes every session, and returns when the last one is gone or the drain
    /// deadline has passed.
    pub fn run(self, stop: &Stop) -> Result<Summary, Error> {
        let Self { listener, config, routes } = self;
        let workers = config.workers;
        let waker =
            Waker::new(listener).map_err(|source| Error::Listen { address: "the socket".into(), source })?;
        let port = waker.address.port();
        let pool = start_workers(workers, port)?;
        let (lane, lane_thread) =
            Lane::start(format!("ws:{port}:503")).map_err(|_| Error::Threads { workers })?;
        let (events, inbox) = bounded(EVENT_BACKLOG);
        let admission = Admission::new(workers, config.waiting);
        let context = Arc::new(Context {
            config: Arc::new(config),
            routes,
            events: events.clone(),
            published: Arc::default(),
            ids: AtomicU64::new(0),
        });
        let supervisor = Supervisor::new(
            Arc::clone(&context),
            inbox,
            Arc::clone(&admission),
            lane.clone(),
            vec![waker.clone()],
        );
        let stop_seen = stop.clone();
        let supervisor = thread::Builder::new()
            .name(format!("ws:{port}:sup"))
            .spawn(move || supervisor.run(&stop_seen))
            .map_err(|_| Error::Threads { workers })?;
        let door = Door { pool, admission, lane, context, events };
        door.accept(&waker, stop);
        drop((door, waker));
        let summary = supervisor.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // Ends by itself: every sender of the lane is gone. A panic in there has been printed.
        let _ = lane_thread.join();
        Ok(summary)
    }
}

/// Starts the workers. The pool panics when the system refuses a thread.
fn start_workers(workers: usize, port: u16) -> Result<ThreadPool, Error> {
    let build = || {
        threadpool::Builder::new()
            .num_threads(workers)
            .thread_name(format!("ws:{port}"))
            .thread_stack_size(WORKER_STACK)
            .build()
    };
    catch_unwind(AssertUnwindSafe(build)).map_err(|_| Error::Threads { workers })
}

/// Where connections come in.
struct Door {
    /// The workers.
    pool: ThreadPool,
    /// Whether one is free.
    admission: Arc<Admission>,
    /// For those who cannot be served.
    lane: Lane,
    /// For those who can.
    context: Arc<Context>,
    /// To the supervisor.
    events: Sender<Event>,
}

impl Door {
    /// Accepts until asked to stop. Nobody who had connected by then is left without an answer.
    fn accept(&self, waker: &Waker, stop: &Stop) {
        let mut complained: Option<Instant> = None;
        loop {
            if stop.is_requested() {
                // Whoever is in the backlog is let in to be told; then it is empty, and nobody waits.
                let _ = waker.listener.set_nonblocking(true);
            }
            match waker.listener.accept() {
                Ok((_, peer)) if waker.is_waker(peer) => {}
                Ok((socket, peer)) => self.admit(Arrival { socket, peer, at: Instant::now() }),
                // The peer was gone before it was accepted.
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
                Err(_) if stop.is_requested() => break,
                Err(e) => {
                    if complained.is_none_or(|at| at.elapsed() >= ACCEPT_COMPLAINT) {
                        warn!("cannot accept connections: {e}; raise `ulimit -n`, or use fewer --workers");
                        complained = Some(Instant::now());
                    }
                    thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
        let _ = self.events.send(Event::ListenerDone);
    }

    /// Hands a connection to whoever deals with it.
    fn admit(&self, arrival: Arrival) {
        // Only a connection that is gone already refuses these.
        let prepared = arrival
            .socket
            .set_nodelay(true)
            .and_then(|()| arrival.socket.set_write_timeout(Some(SEND_REPORT)))
            .and_then(|()| arrival.socket.set_nonblocking(false));
        if let Err(error) = prepared {
            debug!("{} went before it was served: {error}", arrival.peer);
            return;
        }
        match self.admission.admit(arrival) {
            Decision::Serve(arrival, permit) => {
                let context = Arc::clone(&self.context);
                self.pool.execute(move || session::work(arrival, permit, &context));
            }
            Decision::Wait => {}
            Decision::Full(arrival) => self.refuse(arrival, Reason::Full),
            Decision::Closed(arrival) => self.refuse(arrival, Reason::Stopping),
        }
    }

    /// Sends somebody away.
    fn refuse(&self, arrival: Arrival, reason: Reason) {
        let _ = self.events.send(Event::Refused(reason));
        self.lane.refuse(arrival, reason);
    }
}

/// Wakes a blocking `accept` by connecting to its listener.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    /// The listener.
    listener: Arc<TcpListener>,
    /// Its address, as one connects to it.
    address: SocketAddr,
    /// The port that the waking connection comes from; 0 before.
    from: Arc<AtomicU16>,
}

impl Waker {
    /// For that listener.
    fn new(listener: TcpListener) -> io::Result<Self> {
        let mut address = listener.local_addr()?;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(Self { listener: Arc::new(listener), address, from: Arc::default() })
    }

    /// Wakes the accept loop. It must find out by itself what it was woken for.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.connect() {
            debug!("cannot connect to {} to wake the accept loop: {error}", self.address);
            // Wakes it too, on Linux; but those in the backlog get a reset instead of an answer.
            let _ = SockRef::from(&*self.listener).shutdown(std::net::Shutdown::Read);
        }
    }

    /// Connects from a port that the accept loop can recognise.
    fn connect(&self) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(self.address.ip(), 0).into())?;
        let from = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
        self.from.store(from, SeqCst);
        socket.connect_timeout(&self.address.into(), WAKE_TIMEOUT)
    }

    /// Whether a connection is the waking one.
    fn is_waker(&self, peer: SocketAddr) -> bool {
        peer.ip() == self.address.ip() && peer.port() == self.from.load(SeqCst)
    }
}
