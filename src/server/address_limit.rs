//! The maximum number of connections for each client address (`--max-per-ip`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bits of an IPv6 address that identify the network. A client can choose the other ones.
const IPV6_NETWORK: u128 = !0 << 64;

/// Counts the connections of each address. An IPv6 address stands for its network of 64 bits.
#[derive(Debug)]
pub(super) struct AddressLimit {
    max: usize,
    /// An entry for each address that has connections.
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection of an address. Dropping it ends the count.
#[derive(Debug)]
pub(crate) struct AddressPermit {
    limit: Arc<AddressLimit>,
    address: IpAddr,
}

impl AddressLimit {
    /// Creates a limit of `max` connections, at least 1, for each address.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, counts: Mutex::default() })
    }

    /// Counts a connection of `peer`. Returns `None` if its address has the maximum number already.
    pub(super) fn acquire(self: &Arc<Self>, peer: IpAddr) -> Option<AddressPermit> {
        let address = counted_address(peer);
        let mut counts = self.lock();
        let count = counts.entry(address).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(AddressPermit { limit: Arc::clone(self), address })
    }

    /// Locks the counts. No code panics between two related changes, so poisoned counts are consistent.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut counts = self.limit.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Returns the address under which a peer is counted.
fn counted_address(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_NETWORK).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_limit_counts_an_ipv6_network_as_one_address_and_forgets_it() {
        let limit = AddressLimit::new(2);
        let acquire = |address: &str| limit.acquire(address.parse().unwrap());
        let first = acquire("2001:db8::1");
        let second = acquire("2001:db8::ffff:2");
        assert!(first.is_some() && second.is_some() && acquire("2001:db8::3").is_none());
        assert!(acquire("2001:db8:0:1::1").is_some() && acquire("192.0.2.1").is_some());
        drop(first);
        assert!(acquire("2001:db8::4").is_some());
        drop(second);
        assert!(limit.lock().is_empty());
    }
}
