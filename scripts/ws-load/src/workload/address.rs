//! The addresses of a host.

use super::url;
use crate::{error::LoadError, net::socket::SourceError};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    path::PathBuf,
    str::FromStr,
};

/// Addresses that replace those of the resolver (`--resolve HOST:PORT:ADDRESS`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveEntry {
    host: String,
    port: u16,
    addresses: Vec<IpAddr>,
}

impl FromStr for ResolveEntry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let (authority, addresses) = match text.strip_prefix('[') {
                // An IPv6 address is the host.
                Some(rest) => rest.split_once("]:").and_then(|(_, rest)| rest.split_once(':')),
                None => text.split_once(':').and_then(|(_, rest)| rest.split_once(':')),
            }
            .map(|(_, addresses)| (text.get(..text.len() - addresses.len() - 1), addresses))?;
            Some((authority?, addresses))
        };
        let (authority, addresses) =
            parts().ok_or("write it as HOST:PORT:ADDRESS, with several addresses separated by commas")?;
        let url::Authority { host, port, .. } = url::Authority::parse(authority)?;
        let port = port.ok_or("it has no port")?;
        let addresses = addresses.split(',').map(|address| {
            let address = address.trim();
            let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
            bare.parse().map_err(|_| format!("\"{address}\" is not an IP address"))
        });
        Ok(Self { host, port, addresses: addresses.collect::<Result<_, String>>()? })
    }
}

/// Most addresses of one `--source`.
const MAX_SOURCES: u32 = 1 << 16;

/// Local addresses that connections use in turn (`--source`): one, or those of a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceAddresses(Vec<IpAddr>);

impl FromStr for SourceAddresses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(one, two)| (one, Some(two)));
        let address: IpAddr = address.parse().map_err(|_| format!("\"{address}\" is not an IP address"))?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), str::parse).ok().filter(|prefix| *prefix <= bits);
        let host_bits =
            bits - prefix.ok_or_else(|| format!("the prefix must be a number from 0 to {bits}"))?;
        let count = 1_u32.checked_shl(host_bits).filter(|count| *count <= MAX_SOURCES);
        let count = count.ok_or_else(|| format!("more than {MAX_SOURCES} addresses: use a longer prefix"))?;
        let addresses = (0..count).map(|number| match address {
            IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() & !(count - 1) | number)),
            IpAddr::V6(first) => {
                let mask = !u128::from(count - 1);
                IpAddr::V6(Ipv6Addr::from_bits(first.to_bits() & mask | u128::from(number)))
            }
        });
        // The first and the last address of an IPv4 network are not those of a host.
        let reserved = usize::from(address.is_ipv4() && count > 2);
        let hosts = usize::try_from(count).unwrap_or(usize::MAX) - 2 * reserved;
        Ok(Self(addresses.skip(reserved).take(hosts).collect()))
    }
}

/// Local addresses by family.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

impl Sources {
    pub(crate) fn new(lists: &[SourceAddresses]) -> Self {
        let (v4, v6) = lists.iter().flat_map(|list| &list.0).copied().partition(IpAddr::is_ipv4);
        Self { v4, v6 }
    }

    /// Returns the local address of the connect number `number` to `remote`. `None` leaves it to the kernel.
    ///
    /// # Errors
    /// There are local addresses, but none of the family of `remote`.
    pub(crate) fn of(&self, number: usize, remote: &SocketAddr) -> io::Result<Option<IpAddr>> {
        let list = if remote.is_ipv4() { &self.v4 } else { &self.v6 };
        match number.checked_rem(list.len()) {
            Some(index) => Ok(list.get(index).copied()),
            None if self.v4.is_empty() && self.v6.is_empty() => Ok(None),
            None => Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                SourceError(format!("no --source is an address of the family of {}", remote.ip())),
            )),
        }
    }
}

/// Where a connect goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Returns the addresses of `host`: those of the first entry that names it, or those of the resolver. The
/// families alternate (RFC 8305, section 4).
pub(crate) fn resolve(host: &str, port: u16, entries: &[ResolveEntry]) -> Result<Vec<SocketAddr>, LoadError> {
    let entry = entries.iter().find(|entry| entry.host == host && entry.port == port);
    let addresses: Vec<SocketAddr> = if let Some(entry) = entry {
        entry.addresses.iter().map(|address| SocketAddr::new(*address, port)).collect()
    } else {
        (host, port)
            .to_socket_addrs()
            .map_err(|source| LoadError::Unresolvable { host: host.to_owned(), source: Some(source) })?
            .collect()
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolve_entry_replaces_the_resolver_and_alternates_families() {
        let entry: ResolveEntry = "Name:7:::1,[::2],127.0.0.1".parse().unwrap();
        let found = resolve("name", 7, &[entry]).unwrap();
        let expected = ["[::1]:7", "127.0.0.1:7", "[::2]:7"].map(|address| address.parse().unwrap());
        assert_eq!(found, expected);
        let entry: ResolveEntry = "[::1]:7:127.0.0.2".parse().unwrap();
        assert_eq!(resolve("::1", 7, &[entry]).unwrap(), ["127.0.0.2:7".parse().unwrap()]);
    }

    #[test]
    fn source_addresses_are_the_hosts_of_a_prefix() {
        let of = |text: &str| text.parse::<SourceAddresses>().map(|list| list.0);
        let v4 = |last: &[u8]| last.iter().map(|last| IpAddr::from([127, 0, 0, *last])).collect::<Vec<_>>();
        assert_eq!(of("127.0.0.7"), Ok(v4(&[7])));
        assert_eq!(of("127.0.0.9/30"), Ok(v4(&[9, 10])));
        assert_eq!(of("127.0.0.9/31"), Ok(v4(&[8, 9])));
        assert_eq!(of("127.0.0.0/24").map(|list| list.len()), Ok(254));
        assert_eq!(of("127.0.0.0/16").map(|list| list.len()), Ok(65_534));
        assert_eq!(of("fd00::/126").map(|list| list.len()), Ok(4));
        for text in ["127.0.0.0/33", "127.0.0.0/15", "::/64", "::/0", "0.0.0.0/0", "localhost", "127.0.0.0/x"]
        {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn resolve_entry_that_is_malformed_is_rejected() {
        for text in
            ["name", "name:1", "name:1:", "name:0:127.0.0.1", "name:1:other", "[::1]:127.0.0.1", ":1:::1"]
        {
            assert!(text.parse::<ResolveEntry>().is_err(), "{text}");
        }
    }
}
