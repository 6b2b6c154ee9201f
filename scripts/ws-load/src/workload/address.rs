//! The addresses of a host.

use crate::error::LoadError;
use std::net::{SocketAddr, ToSocketAddrs};

/// Returns the addresses of `host`. The families alternate (RFC 8305, section 4).
pub(crate) fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, LoadError> {
    let addresses: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|source| LoadError::Unresolvable { host: host.to_owned(), source: Some(source) })?
        .collect();
    if addresses.is_empty() {
        return Err(LoadError::Unresolvable { host: host.to_owned(), source: None });
    }
    Ok(alternate_families(addresses))
}

/// Reorders addresses so that the families alternate, and keeps the order within each.
fn alternate_families(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let v6_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (ones, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == v6_first);
    let mut others = others.into_iter();
    let mut ordered = Vec::with_capacity(ones.len() + others.len());
    for address in ones {
        ordered.push(address);
        ordered.extend(others.next());
    }
    ordered.extend(others);
    ordered
}
