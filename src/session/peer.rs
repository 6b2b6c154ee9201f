//! The client's end of a connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Where a connection comes from. `Display` writes the address and port, the address alone if the port is not
/// known, or `unix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP connection from this address.
    Tcp(SocketAddr),
    /// A client behind a proxy that does not name its port.
    Ip(IpAddr),
    /// A connection to a Unix socket. Its client has no address.
    Unix,
}

impl Peer {
    /// Returns the IP address, or `None` for a client without one.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Ip(ip) => Some(ip),
            Self::Unix => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    /// Removes the mapping to IPv6 (RFC 4291, 2.5.5.2) that an IPv6 listener adds to IPv4 addresses.
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(match address.ip().to_canonical() {
            ip if ip.is_ipv4() => SocketAddr::new(ip, address.port()),
            // Not rebuilt, because that would lose the scope.
            _ => address,
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Ip(ip) => ip.fmt(f),
            Self::Unix => f.pad("unix"),
        }
    }
}
