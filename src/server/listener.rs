//! Where connections come in: listening, and waking whoever waits for the next one.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::time::Duration;

use log::debug;
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, SockRef, Socket, Type};

use crate::error::Error;
use crate::tls::certificate::Certificate;

/// Connections that the kernel completes before they are accepted; it caps this at `net.core.somaxconn`. The 128 of
/// the standard library lose SYNs in a storm, and each lost one waits a second.
const BACKLOG: i32 = 4096;

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

/// A listener that is bound, and what is spoken on it. Its `Display` is its address as a `ws:` or `wss:` URL.
#[derive(Debug)]
pub struct Listener {
    /// Where connections come in.
    pub(crate) socket: TcpListener,
    /// What TLS shows; `None` where none is spoken.
    pub(crate) certificate: Option<Arc<Certificate>>,
}

impl Listener {
    /// A listener on which TLS is spoken.
    #[must_use]
    pub fn secure(socket: TcpListener, certificate: Arc<Certificate>) -> Self {
        Self { socket, certificate: Some(certificate) }
    }

    /// Its address with the scheme of a web page.
    #[must_use]
    pub fn page(&self) -> String {
        format!("http{}", &self.to_string()[2..])
    }
}

impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Self {
        Self { socket, certificate: None }
    }
}

/// The listeners of one server: anything that is one, or a list of them.
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

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.certificate.is_some() { "wss" } else { "ws" };
        match self.socket.local_addr() {
            Ok(address) => write!(f, "{scheme}://{address}/"),
            Err(_) => write!(f, "{scheme}://?/"),
        }
    }
}

/// Lets an accept loop wait, and wakes it by connecting to its listener.
#[derive(Clone, Debug)]
pub(crate) struct AcceptInterrupt {
    /// The listener.
    listener: Arc<TcpListener>,
    /// Its address, as one connects to it.
    address: SocketAddr,
    /// The port that the waking connection comes from; 0 before.
    from: Arc<AtomicU16>,
}

impl AcceptInterrupt {
    /// For that listener, whose `accept` does not wait from now on.
    pub(crate) fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut address = listener.local_addr()?;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(Self { listener: Arc::new(listener), address, from: Arc::default() })
    }

    /// The listener.
    pub(crate) fn listener(&self) -> &TcpListener {
        &self.listener
    }

    /// Waits until somebody comes, or until the loop is woken.
    pub(crate) fn wait(&self) {
        // A signal may end it early, which does no harm: the loop looks, and waits again.
        let _ = poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], None);
    }

    /// The port that is listened on.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Wakes the accept loop. It must find out by itself what it was woken for.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.connect() {
            debug!("cannot connect to {} to wake the accept loop: {error}", self.address);
            // Wakes it too, on Linux; but those in the backlog get a reset instead of an answer.
            let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Read);
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
    pub(crate) fn is_interrupt(&self, peer: SocketAddr) -> bool {
        peer.ip() == self.address.ip() && peer.port() == self.from.load(SeqCst)
    }
}
