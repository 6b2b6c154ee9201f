//! The admin listener: a thread that answers probes and `/metrics` while all workers are busy.
//!
//! One thread waits for all of its connections with poll(2), so that a slow client delays no other one.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::debug;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use socket2::Socket;

use super::http_routes;
use super::listener::ListeningSocket;
use super::state::ServerState;
use crate::error::Error;
use crate::http::request_head::{HEAD_LIMIT, HeadError, HeadReader, RequestHead};
use crate::http::response::Response;
use crate::logging::EscapedPreview;
use crate::platform::wake_up::WakeUp;
use crate::session::peer::Peer;

/// Maximum number of connections. A further one ends the oldest: probes take milliseconds, so the oldest one
/// is the least likely to be a probe. Each is an open file that the server keeps free for it.
const MAX_CONNECTIONS: usize = 16;

/// Maximum time of a connection, from the accept to the end of the response.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause after an accept that failed because descriptors or memory ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The running thread. Dropping this ends it and waits for its end.
#[derive(Debug)]
pub(super) struct AdminThread {
    interrupt: Arc<WakeUp>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread owns.
struct AdminServer {
    listeners: Vec<ListeningSocket>,
    interrupt: Arc<WakeUp>,
    state: Arc<ServerState>,
    /// Oldest first.
    connections: Vec<Connection>,
}

/// A connection of the admin listener.
struct Connection {
    socket: Socket,
    peer: Peer,
    deadline: Instant,
    stage: Stage,
}

/// How far a connection has come.
enum Stage {
    Reading(HeadReader),
    /// The response, and the number of its bytes that were sent.
    Writing(Vec<u8>, usize),
    /// Waits for the peer's end of stream: a close with unread bytes would reset the connection.
    Ending,
}

/// Returns the number of descriptors to keep free for an admin listener with so many sockets.
pub(super) fn reserved_files(sockets: usize) -> usize {
    if sockets == 0 { 0 } else { sockets + MAX_CONNECTIONS }
}

impl AdminThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Error::Listen`] if a system call on a socket fails, and [`Error::Thread`] if the thread cannot be
    /// started.
    pub(super) fn start(listeners: Vec<ListeningSocket>, state: &Arc<ServerState>) -> Result<Self, Error> {
        let listen_error = |source| Error::Listen { address: "the admin socket".into(), source };
        for listener in &listeners {
            listener.set_nonblocking().map_err(listen_error)?;
        }
        let interrupt = Arc::new(WakeUp::new().map_err(listen_error)?);
        let mut server = AdminServer {
            listeners,
            interrupt: Arc::clone(&interrupt),
            state: Arc::clone(state),
            connections: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("admin".into())
            .spawn(move || server.run())
            .map_err(|source| Error::Thread { purpose: "the admin listener", source })?;
        Ok(Self { interrupt, thread: Some(thread) })
    }
}

impl Drop for AdminThread {
    fn drop(&mut self) {
        self.interrupt.signal();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl AdminServer {
    /// Answers requests until the interrupt.
    fn run(&mut self) {
        while !self.wait() {
            self.accept();
            let (now, state) = (Instant::now(), &self.state);
            self.connections.retain_mut(|connection| connection.deadline > now && connection.advance(state));
        }
    }

    /// Blocks until a socket is ready or a connection has reached its deadline. Returns whether the thread
    /// has to end.
    fn wait(&self) -> bool {
        let flags = |connection: &Connection| match connection.stage {
            Stage::Writing(..) => PollFlags::OUT,
            Stage::Reading(_) | Stage::Ending => PollFlags::IN,
        };
        let mut descriptors = vec![PollFd::new(&*self.interrupt, PollFlags::IN)];
        descriptors.extend(self.listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)));
        descriptors.extend(self.connections.iter().map(|c| PollFd::new(&c.socket, flags(c))));
        let deadline = self.connections.iter().map(|connection| connection.deadline).min();
        let timeout = deadline
            .and_then(|deadline| Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok());
        // An error, for example EINTR, is an early return.
        let _ = poll(&mut descriptors, timeout.as_ref());
        !descriptors[0].revents().is_empty()
    }

    /// Accepts connections, at most as many as there may be, so that each gets one chance to be answered.
    fn accept(&mut self) {
        for listener in &self.listeners {
            for _ in 0..MAX_CONNECTIONS {
                match listener.accept() {
                    Ok((socket, peer)) => {
                        if self.connections.len() == MAX_CONNECTIONS {
                            self.connections.remove(0);
                        }
                        let deadline = Instant::now() + CONNECTION_TIMEOUT;
                        let stage = Stage::Reading(HeadReader::default());
                        self.connections.push(Connection { socket, peer, deadline, stage });
                    }
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
                            debug!("admin listener: cannot accept: {error}");
                            thread::sleep(ACCEPT_PAUSE);
                        }
                        break;
                    }
                }
            }
        }
    }
}

impl Connection {
    /// Does what is possible without waiting. Returns `false` if the connection has ended.
    fn advance(&mut self, state: &ServerState) -> bool {
        if let Stage::Reading(head) = &mut self.stage {
            let response = match head.read(&mut &self.socket) {
                Ok(None) => return true,
                Ok(Some((head, _))) => self.respond(&head, state),
                Err(HeadError::Disconnected) => return false,
                Err(HeadError::TooLarge) => {
                    let sentence = format!("the request head is larger than {HEAD_LIMIT} bytes");
                    Response::text(431, &sentence).to_bytes(false, &state.config.name)
                }
                Err(HeadError::Malformed(sentence)) => {
                    Response::text(400, &sentence).to_bytes(false, &state.config.name)
                }
            };
            self.stage = Stage::Writing(response, 0);
        }
        match self.write() {
            Ok(true) => !self.has_peer_ended(),
            Ok(false) => true,
            Err(_) => false,
        }
    }

    /// Returns the response to a request.
    fn respond(&self, head: &RequestHead, state: &ServerState) -> Vec<u8> {
        let response = if http_routes::is_probe(head) {
            state.respond(head)
        } else {
            Response::text(404, "the admin port has /livez, /readyz, /health and /metrics")
        };
        let (peer, path, status) = (self.peer, EscapedPreview(&head.path), response.status);
        debug!(peer:%, path:%, status; "admin {peer} {path}: {status}");
        response.to_bytes(head.method == "HEAD", &state.config.name)
    }

    /// Sends bytes of the response. Returns whether all were sent; then ends the stream.
    fn write(&mut self) -> io::Result<bool> {
        if let Stage::Writing(bytes, sent) = &mut self.stage {
            while *sent < bytes.len() {
                match send(&self.socket, &bytes[*sent..], SendFlags::NOSIGNAL) {
                    Ok(n) => *sent += n,
                    Err(Errno::AGAIN) => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
            }
            self.socket.shutdown(std::net::Shutdown::Write)?;
            self.stage = Stage::Ending;
        }
        Ok(true)
    }

    /// Discards what has come. Returns whether the peer has ended its stream.
    fn has_peer_ended(&self) -> bool {
        let mut discarded = [0; 1024];
        match (&self.socket).read(&mut discarded) {
            Ok(n) => n == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }
}
