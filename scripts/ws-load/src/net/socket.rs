//! A non-blocking socket of a client: TCP, or in the file system.

use super::{mss::mss_remainder, tcp_info};
use mio::{
    Interest, Registry, Token,
    net::{TcpStream, UnixStream},
};
use rustix::io::Errno;
use socket2::{Domain, Type};
use std::{
    fmt,
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, Shutdown, SocketAddr},
    path::Path,
};

/// A socket that is connecting or connected.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A local address cannot be used, or there is none.
#[derive(Debug)]
pub(crate) struct SourceError(pub(crate) String);

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SourceError {}

impl Socket {
    /// Starts a TCP connect, from the local address `source` if there is one.
    ///
    /// # Errors
    /// Those of the system. One with a [`SourceError`] if `source` cannot be used.
    pub(crate) fn connect_tcp(remote: SocketAddr, source: Option<IpAddr>) -> io::Result<Self> {
        let Some(source) = source else { return TcpStream::connect(remote).map(Self::Tcp) };
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = socket2::Socket::new(Domain::for_address(remote), kind, None)?;
        choose_port_at_connect(&socket);
        socket.bind(&SocketAddr::new(source, 0).into()).map_err(|error| {
            let problem = format!("the source address {source} cannot be used ({error})");
            io::Error::new(error.kind(), SourceError(problem))
        })?;
        match socket.connect(&remote.into()) {
            Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
            _ => Ok(Self::Tcp(TcpStream::from_std(socket.into()))),
        }
    }

    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// Those of the system. `WouldBlock` if the queue of the listener is full.
    pub(crate) fn connect_unix(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).map(Self::Unix)
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Tcp(socket) => registry.register(socket, token, interest),
            Self::Unix(socket) => registry.register(socket, token, interest),
        }
    }

    /// Returns whether the connect is complete, or the error that ended it.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        let (error, peer) = match self {
            Self::Tcp(socket) => (socket.take_error()?, socket.peer_addr().map(drop)),
            Self::Unix(socket) => (socket.take_error()?, socket.peer_addr().map(drop)),
        };
        if let Some(error) = error {
            return Err(error);
        }
        match (peer, self) {
            (Ok(()), Self::Tcp(socket)) => socket.set_nodelay(true).map(|()| true),
            (Ok(()), Self::Unix(_)) => Ok(true),
            (Err(error), _) if error.kind() == ErrorKind::NotConnected => Ok(false),
            (Err(error), _) => Err(error),
        }
    }

    /// Returns whether the kernel had to send the SYN again. To be called right after the connect.
    pub(crate) fn is_syn_retransmitted(&self) -> bool {
        match self {
            Self::Tcp(socket) => tcp_info::retransmits(socket).is_some_and(|count| count > 0),
            Self::Unix(_) => false,
        }
    }

    /// Returns how many of the last bytes of a write of `length` bytes to keep for the next write.
    pub(crate) fn mss_remainder(&self, length: usize) -> usize {
        match self {
            Self::Tcp(socket) => mss_remainder(socket, length),
            Self::Unix(_) => 0,
        }
    }

    /// Sends FIN.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Self::Unix(socket) => socket.shutdown(Shutdown::Write),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(buffer),
            Self::Unix(socket) => socket.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lets the kernel choose the port when it knows the remote address, so that one local port serves several of
/// them. Without this a local address has each port once.
fn choose_port_at_connect(socket: &socket2::Socket) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
        // Works without as well, with fewer connections.
        let _ = setsockopt(socket, IpBindAddressNoPort, &true);
    }
}
