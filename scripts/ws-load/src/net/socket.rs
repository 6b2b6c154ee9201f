//! A non-blocking socket of a client.

use mio::net::TcpStream;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
};

/// A local address cannot be used, or there is none.
#[derive(Debug)]
pub(crate) struct SourceError(pub(crate) String);

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SourceError {}

/// Starts a TCP connect, from the local address `source` if there is one.
///
/// # Errors
/// Those of the system. One with a [`SourceError`] if `source` cannot be used.
pub(crate) fn connect(remote: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(source) = source else { return TcpStream::connect(remote) };
    let socket = Socket::new(Domain::for_address(remote), Type::STREAM.nonblocking().cloexec(), None)?;
    choose_port_at_connect(&socket);
    socket.bind(&SocketAddr::new(source, 0).into()).map_err(|error| {
        io::Error::new(
            error.kind(),
            SourceError(format!("the source address {source} cannot be used ({error})")),
        )
    })?;
    match socket.connect(&remote.into()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// Lets the kernel choose the port when it knows the remote address, so that one local port serves several of
/// them. Without this a local address has each port once.
fn choose_port_at_connect(socket: &Socket) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
        // Works without as well, with fewer connections.
        let _ = setsockopt(socket, IpBindAddressNoPort, &true);
    }
}
