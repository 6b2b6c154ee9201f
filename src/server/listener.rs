//! Bound listeners, and what unblocks an accept loop.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use socket2::Socket;

use super::unix_socket::SocketFile;
use crate::platform::wake_up::WakeUp;
use crate::session::peer::Peer;
use crate::tls::certificate::Certificate;

/// A socket that listens.
#[derive(Debug)]
pub struct ListeningSocket {
    kind: Kind,
    /// Other processes may accept from it too.
    is_shared: bool,
    /// The file of a Unix socket that this process has bound; removed on drop.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl ListeningSocket {
    /// Creates a listening socket from a Unix socket, and its file if this process has bound it.
    pub(super) fn unix(listener: UnixListener, file: Option<SocketFile>) -> Self {
        Self { kind: Kind::Unix(listener), is_shared: false, _file: file }
    }

    /// Marks a socket from which other processes may accept too.
    pub(super) fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// Returns the address as a URL of `scheme`. The one of a Unix socket has the form that Node's `ws`
    /// accepts: `ws+unix:PATH:/`.
    fn url(&self, scheme: &str) -> String {
        match &self.kind {
            Kind::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("{scheme}://{address}/"),
                Err(_) => format!("{scheme}://?/"),
            },
            Kind::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                format!("{scheme}+unix:{}:/", path.unwrap_or(Path::new("?")).display())
            }
        }
    }

    /// Returns the port, or `unix`, for the names of threads.
    fn label(&self) -> String {
        match &self.kind {
            Kind::Tcp(listener) => listener.local_addr().map_or(0, |address| address.port()).to_string(),
            Kind::Unix(_) => "unix".to_owned(),
        }
    }

    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        match &self.kind {
            Kind::Tcp(listener) => listener.set_nonblocking(true),
            Kind::Unix(listener) => listener.set_nonblocking(true),
        }
    }

    /// Accepts a connection and sets it to non-blocking mode, with `TCP_NODELAY`.
    pub(super) fn accept(&self) -> io::Result<(Socket, Peer)> {
        // An option cannot be set if the peer has closed the connection.
        let aborted = |error| io::Error::new(io::ErrorKind::ConnectionAborted, error);
        match &self.kind {
            Kind::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true)).map_err(aborted)?;
                Ok((stream.into(), peer.into()))
            }
            Kind::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true).map_err(aborted)?;
                Ok((stream.into(), Peer::Unix))
            }
        }
    }
}

impl AsFd for ListeningSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Tcp(listener) => listener.as_fd(),
            Kind::Unix(listener) => listener.as_fd(),
        }
    }
}

impl From<TcpListener> for ListeningSocket {
    fn from(listener: TcpListener) -> Self {
        Self { kind: Kind::Tcp(listener), is_shared: false, _file: None }
    }
}

/// A bound listener, plain or with TLS. Its `Display` is its address as a `ws:` or `wss:` URL.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: ListeningSocket,
    /// The certificate of a TLS listener; `None` for plain TCP.
    pub(crate) certificate: Option<Arc<Certificate>>,
}

impl Listener {
    /// Creates a TLS listener.
    #[must_use]
    pub fn secure(socket: impl Into<ListeningSocket>, certificate: Arc<Certificate>) -> Self {
        Self { socket: socket.into(), certificate: Some(certificate) }
    }

    /// Returns the address as an `http:` or `https:` URL, or `None` for a Unix socket, which browsers cannot
    /// open.
    #[must_use]
    pub fn http_url(&self) -> Option<String> {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        matches!(self.socket.kind, Kind::Tcp(_)).then(|| self.socket.url(scheme))
    }
}

impl<S: Into<ListeningSocket>> From<S> for Listener {
    fn from(socket: S) -> Self {
        Self { socket: socket.into(), certificate: None }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.socket.url(if self.certificate.is_some() { "wss" } else { "ws" }))
    }
}

/// The listeners of one server. Converts from a [`Listener`], a `TcpListener`, or a list of listeners.
#[derive(Debug)]
pub struct Listeners(pub(crate) Vec<Listener>);

impl From<Listener> for Listeners {
    fn from(listener: Listener) -> Self {
        Self(vec![listener])
    }
}

impl From<TcpListener> for Listeners {
    fn from(listener: TcpListener) -> Self {
        Self(vec![listener.into()])
    }
}

impl From<Vec<Listener>> for Listeners {
    fn from(listeners: Vec<Listener>) -> Self {
        Self(listeners)
    }
}

/// Returns the lines for standard output. One line `listening on URL` for each listener: scripts wait for
/// it. Then a line `admin on URL` for each socket of `admin`. The last line is a hint for people, if a
/// browser can open one of the listeners.
#[must_use]
pub fn ready_lines(listeners: &[Listener], admin: &[ListeningSocket]) -> String {
    let mut lines: Vec<_> = listeners.iter().map(|listener| format!("listening on {listener}")).collect();
    lines.extend(admin.iter().map(|socket| format!("admin on {}", socket.url("http"))));
    if let Some(page) = listeners.iter().find_map(Listener::http_url) {
        lines.push(format!("open {page} in a browser to try it; Ctrl-C stops"));
    }
    lines.join("\n")
}

/// A non-blocking listener whose accept loop can wait for connections and be unblocked by another thread.
#[derive(Clone, Debug)]
pub(crate) struct InterruptibleListener {
    socket: Arc<ListeningSocket>,
    interrupt: Arc<WakeUp>,
}

impl InterruptibleListener {
    /// Sets the listener to non-blocking mode.
    ///
    /// # Errors
    /// If a system call fails.
    pub(crate) fn new(socket: ListeningSocket) -> io::Result<Self> {
        socket.set_nonblocking()?;
        Ok(Self { socket: Arc::new(socket), interrupt: Arc::new(WakeUp::new()?) })
    }

    /// Accepts a connection and returns its socket in non-blocking mode. Does not block: fails with
    /// `WouldBlock` if the backlog is empty, and with `ConnectionAborted` if the peer has gone.
    pub(crate) fn accept(&self) -> io::Result<(Socket, Peer)> {
        self.socket.accept()
    }

    /// Blocks until a connection can be accepted, or returns at once after [`interrupt`](Self::interrupt).
    /// May return early; the caller has to accept and wait again.
    pub(crate) fn wait_readable(&self) {
        let mut descriptors =
            [PollFd::new(&*self.socket, PollFlags::IN), PollFd::new(&*self.interrupt, PollFlags::IN)];
        // An error, for example EINTR, is an early return.
        let _ = poll(&mut descriptors, None);
    }

    /// Returns the port of the listener, or `unix`.
    pub(crate) fn label(&self) -> String {
        self.socket.label()
    }

    /// Returns whether other processes may accept from the socket too. Then its backlog need not be empty at
    /// the end.
    pub(crate) fn is_shared(&self) -> bool {
        self.socket.is_shared
    }

    /// Ends the current wait of the accept loop and all later ones.
    pub(crate) fn interrupt(&self) {
        self.interrupt.signal();
    }
}
