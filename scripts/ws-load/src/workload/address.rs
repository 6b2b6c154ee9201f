//! The addresses of a host.

use super::url;
use crate::error::LoadError;
use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs},
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
    fn resolve_entry_that_is_malformed_is_rejected() {
        for text in
            ["name", "name:1", "name:1:", "name:0:127.0.0.1", "name:1:other", "[::1]:127.0.0.1", ":1:::1"]
        {
            assert!(text.parse::<ResolveEntry>().is_err(), "{text}");
        }
    }
}
