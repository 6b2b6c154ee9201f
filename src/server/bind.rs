//! Binds listeners to addresses.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use log::info;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::inherited::InheritedSockets;
use super::listen_address::ListenAddress;
use super::listener::ListeningSocket;
use super::unix_socket;
use crate::error::Error;

/// Maximum number of connections that the kernel holds before they are accepted; it applies
/// `net.core.somaxconn` as well (listen(2)). With the 128 of the standard library a storm loses SYNs, and
/// each lost SYN delays its client by a second.
const BACKLOG: i32 = 4096;

/// Number of attempts to find a port that is free on all addresses of a name.
const PORT_ATTEMPTS: usize = 16;

/// Binds a listener to `HOST:PORT`: to the first address of the host that can be bound. Port 0 picks a free
/// port.
///
/// # Errors
/// [`Error::Listen`] if the host has no address or none of its addresses can be bound.
pub fn listen(address: &str) -> Result<TcpListener, Error> {
    let listen_error = |source| Error::Listen { address: address.to_owned(), source };
    let mut last_error = no_address();
    for resolved in address.to_socket_addrs().map_err(listen_error)? {
        match listen_on(resolved, false) {
            Ok(listener) => return Ok(listener),
            Err(error) => last_error = error,
        }
    }
    Err(listen_error(last_error))
}

/// Binds listeners to all `addresses`, and to all addresses of each name, or takes them from `inherited`. The
/// listeners of a name with port 0 get the same port. `[::]` takes connections over IPv4 too, unless
/// `addresses` has an IPv4 address with the same port.
///
/// # Errors
/// [`Error::Listen`] if an address cannot be bound. An address of a name that this machine does not have is
/// left out if the name has another one, for example `[::1]` without IPv6.
pub fn listen_all(
    addresses: &[ListenAddress],
    inherited: &mut InheritedSockets,
) -> Result<Vec<ListeningSocket>, Error> {
    let mut resolved = Vec::new();
    for address in addresses {
        let listen_error = |source| Error::Listen { address: address.to_string(), source };
        resolved.push(match address {
            ListenAddress::Tcp(name) => resolve(name).map_err(listen_error)?,
            ListenAddress::Unix(_) | ListenAddress::Inherited(_) => Vec::new(),
        });
    }
    let ipv4_ports: Vec<_> =
        resolved.iter().flatten().filter(|address| address.is_ipv4()).map(SocketAddr::port).collect();
    let mut sockets = Vec::new();
    for (address, resolved) in addresses.iter().zip(&resolved) {
        let listen_error = |source| Error::Listen { address: address.to_string(), source };
        match address {
            ListenAddress::Unix(path) => {
                let (listener, file) = unix_socket::bind(path, BACKLOG).map_err(listen_error)?;
                sockets.push(ListeningSocket::unix(listener, Some(file)));
            }
            ListenAddress::Inherited(name) => {
                sockets.extend(inherited.take(name.as_deref()).map_err(listen_error)?);
            }
            ListenAddress::Tcp(name) => {
                let listeners = bind_name(name, resolved, &ipv4_ports)?;
                sockets.extend(listeners.into_iter().map(ListeningSocket::from));
            }
        }
    }
    Ok(sockets)
}

/// Returns the addresses of `HOST:PORT`, each once. `localhost` has both loopback addresses (RFC 6761, 6.3),
/// even if the resolver knows one of them only: browsers connect to `[::1]` first.
fn resolve(name: &str) -> io::Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    let both = match name.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) if host.eq_ignore_ascii_case("localhost") => {
            vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
        }
        _ => Vec::new(),
    };
    for address in both.into_iter().chain(name.to_socket_addrs()?) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(no_address()) } else { Ok(addresses) }
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

/// Binds a listener to each address of a name; with port 0, to a port that is free on all of them.
fn bind_name(name: &str, addresses: &[SocketAddr], ipv4_ports: &[u16]) -> Result<Vec<TcpListener>, Error> {
    let picks_port = addresses.len() > 1 && addresses[0].port() == 0;
    let mut attempts = if picks_port { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match bind_each(addresses, ipv4_ports) {
            Err((_, error)) if attempts > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            Err((address, source)) => {
                let resolved = address.to_string();
                let address = if resolved == name { resolved } else { format!("{name} ({resolved})") };
                return Err(Error::Listen { address, source });
            }
            Ok(listeners) => return Ok(listeners),
        }
    }
}

/// Binds a listener to each address. After the first one, port 0 is its port. Leaves out addresses that this
/// machine does not have, unless it has none of them. The error has the address that could not be bound.
fn bind_each(
    addresses: &[SocketAddr],
    ipv4_ports: &[u16],
) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut absent = Vec::new();
    for address in addresses {
        let mut address = *address;
        if let Some(port) = listeners.first().and_then(|first| first.local_addr().ok()).map(|a| a.port()) {
            address.set_port(port);
        }
        match listen_on(address, address.port() != 0 && ipv4_ports.contains(&address.port())) {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_absent(&error) => absent.push((address, error)),
            Err(error) => return Err((address, error)),
        }
    }
    if listeners.is_empty() {
        return Err(absent.pop().unwrap_or_else(|| (SocketAddr::from(([0; 4], 0)), no_address())));
    }
    for (address, error) in absent {
        info!("not listening on {address}: {error}");
    }
    Ok(listeners)
}

/// Returns whether this machine does not have an address, or not its family.
fn is_absent(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT))
}

/// Binds a listener with [`BACKLOG`]. `only_v6`: an IPv6 listener takes no connections over IPv4.
fn listen_on(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Lets a restarted server bind while connections of the old one are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if only_v6 && address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
