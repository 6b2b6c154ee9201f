//! Bound listeners, and what unblocks an accept loop.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::time::Duration;

use log::debug;
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, SockRef, Socket, Type};

use crate::error::Error;
use crate::tls::certificate::Certificate;

/// Maximum number of connections that the kernel holds before they are accepted; it applies
/// `net.core.somaxconn` as well (listen(2)). With the 128 of the standard library a storm loses SYNs, and
/// each lost SYN delays its client by a second.
const BACKLOG: i32 = 4096;

/// Maximum time to connect to a listener in order to unblock its accept loop.
const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(1);

/// Binds a listener to `HOST:PORT`: to the first address of the host that can be bound. Port 0 picks a free
/// port.
///
/// # Errors
/// [`Error::Listen`] if the host has no address or none of its addresses can be bound.
pub fn listen(address: &str) -> Result<TcpListener, Error> {
    let listen_error = |source| Error::Listen { address: address.to_owned(), source };
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for resolved in address.to_socket_addrs().map_err(listen_error)? {
        match listen_on(resolved) {
            Ok(listener) => return Ok(listener),
            Err(error) => last_error = error,
        }
    }
    Err(listen_error(last_error))
}

/// Binds a listener with [`BACKLOG`].
fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Lets a restarted server bind while connections of the old one are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A bound listener, plain or with TLS. Its `Display` is its address as a `ws:` or `wss:` URL.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: TcpListener,
    /// The certificate of a TLS listener; `None` for plain TCP.
    pub(crate) certificate: Option<Arc<Certificate>>,
}

impl Listener {
    /// Creates a TLS listener.
    #[must_use]
    pub fn secure(socket: TcpListener, certificate: Arc<Certificate>) -> Self {
        Self { socket, certificate: Some(certificate) }
    }

    /// Returns the address as an `http:` or `https:` URL.
    #[must_use]
    pub fn http_url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        self.url(scheme)
    }

    fn url(&self, scheme: &str) -> String {
        match self.socket.local_addr() {
            Ok(address) => format!("{scheme}://{address}/"),
            Err(_) => format!("{scheme}://?/"),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Self {
        Self { socket, certificate: None }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url(if self.certificate.is_some() { "wss" } else { "ws" }))
    }
}

/// The listeners of one server. Converts from a [`Listener`], a `TcpListener`, or a list of listeners.
#[derive(Debug)]
pub struct Listeners(pub(crate) Vec<Listener>);

impl<L: Into<Listener>> From<L> for Listeners {
    fn from(listener: L) -> Self {
        Self(vec![listener.into()])
    }
}

impl From<Vec<Listener>> for Listeners {
    fn from(listeners: Vec<Listener>) -> Self {
        Self(listeners)
    }
}

/// Returns the lines for standard output. One line `listening on URL` for each listener: scripts wait for
/// it. The last line is a hint for people.
#[must_use]
pub fn ready_lines(listeners: &[Listener]) -> String {
    let mut lines: Vec<_> = listeners.iter().map(|listener| format!("listening on {listener}")).collect();
    let page = listeners.first().map(Listener::http_url).unwrap_or_default();
    lines.push(format!("open {page} in a browser to try it; Ctrl-C stops"));
    lines.join("\n")
}

/// A non-blocking listener whose accept loop can wait for connections and be unblocked by another thread.
#[derive(Clone, Debug)]
pub(crate) struct InterruptibleListener {
    listener: Arc<TcpListener>,
    /// The address to connect to: that of the listener, or loopback if the listener has no specific address.
    address: SocketAddr,
    /// Source port of the interrupting connection; 0 before there is one.
    source_port: Arc<AtomicU16>,
}

impl InterruptibleListener {
    /// Sets the listener to non-blocking mode.
    ///
    /// # Errors
    /// If a system call on the listener fails.
    pub(crate) fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut address = listener.local_addr()?;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(Self { listener: Arc::new(listener), address, source_port: Arc::default() })
    }

    /// Accepts a connection and returns it with the peer's address. Does not block: fails with `WouldBlock`
    /// if the backlog is empty.
    pub(crate) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept()
    }

    /// Blocks until a connection can be accepted. May return early; the caller has to accept and wait again.
    pub(crate) fn wait_readable(&self) {
        // An error, for example EINTR, is an early return.
        let _ = poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], None);
    }

    /// Returns the port of the listener.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Unblocks the accept loop by connecting to its listener. Blocks for at most [`INTERRUPT_TIMEOUT`].
    pub(crate) fn interrupt(&self) {
        if let Err(error) = self.connect_to_self() {
            debug!("cannot connect to {} to end its accept loop: {error}", self.address);
            // Unblocks the loop too, on Linux, but the kernel resets the connections in the backlog.
            let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Read);
        }
    }

    /// Connects to the listener from a source port that is stored before the accept loop accepts the
    /// connection.
    fn connect_to_self(&self) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(self.address.ip(), 0).into())?;
        let source_port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
        self.source_port.store(source_port, SeqCst);
        socket.connect_timeout(&self.address.into(), INTERRUPT_TIMEOUT)
    }

    /// Returns whether the connection from `peer` is the interrupting one.
    pub(crate) fn is_interrupt(&self, peer: SocketAddr) -> bool {
        peer.ip() == self.address.ip() && peer.port() == self.source_port.load(SeqCst)
    }
}
