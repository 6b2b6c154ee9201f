//! The memory that all sessions together may use for what a peer can make grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tungstenite::Bytes;

/// Unit in which memory is counted, in bytes. What is smaller is not counted, so a session with small
/// messages needs no access to the shared counter.
const UNIT: usize = 8 << 10;

/// Size of a reservation, in bytes, above which it may not use the last eighth of the budget: sessions that
/// ask for little go on when those that ask for much get nothing.
const LARGE: usize = 256 << 10;

/// A limit, and how much of it is reserved.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    limit: usize,
    used: AtomicUsize,
    /// Maximum of `used` so far.
    peak: AtomicUsize,
}

impl MemoryBudget {
    /// Creates a budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0), peak: AtomicUsize::new(0) })
    }

    /// Returns the limit, in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the number of reserved bytes. It may exceed the limit; see [`Reservation::force`].
    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Returns the bytes as an owner of memory that is reserved until the last reference to it is dropped:
    /// for a message that many sessions send. Returns `None` if the budget does not allow that.
    pub(crate) fn count_shared(self: &Arc<Self>, bytes: Bytes) -> Option<Bytes> {
        let mut memory = Reservation::new(self);
        memory.resize(bytes.len()).then(|| Bytes::from_owner(Counted { bytes, _memory: memory }))
    }

    /// Returns the maximum of [`used`](Self::used) so far.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// Adds to what is used, unless that would exceed `limit`. Returns whether it was added.
    fn add(&self, more: usize, limit: usize) -> bool {
        let grow = |used: usize| used.checked_add(more).filter(|&used| used <= limit);
        let before = self.used.fetch_update(Relaxed, Relaxed, grow);
        if let Ok(before) = before {
            self.peak.fetch_max(before + more, Relaxed);
        }
        before.is_ok()
    }
}

/// Bytes with the memory that is reserved for them.
struct Counted {
    bytes: Bytes,
    _memory: Reservation,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A part of a budget. Dropping it gives the part back.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<MemoryBudget>,
    /// In bytes, a multiple of [`UNIT`].
    reserved: usize,
}

impl Reservation {
    /// Creates a reservation of nothing.
    pub(crate) fn new(budget: &Arc<MemoryBudget>) -> Self {
        Self { budget: Arc::clone(budget), reserved: 0 }
    }

    /// Returns the budget.
    pub(crate) fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    /// Returns the number of bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.reserved
    }

    /// Changes the reservation to `bytes`. Returns `false`, and changes nothing, if the budget does not allow
    /// that.
    #[must_use]
    pub(crate) fn resize(&mut self, bytes: usize) -> bool {
        let wanted = bytes / UNIT * UNIT;
        if wanted > self.reserved {
            let limit = self.budget.limit;
            let limit = if wanted > LARGE { limit - limit / 8 } else { limit };
            if !self.budget.add(wanted - self.reserved, limit) {
                return false;
            }
            self.reserved = wanted;
        } else {
            self.shrink(wanted);
        }
        true
    }

    /// Changes the reservation to `bytes`, whatever the limit is: for memory that is in use already, and was
    /// counted elsewhere before.
    pub(crate) fn force(&mut self, bytes: usize) {
        let wanted = bytes / UNIT * UNIT;
        if wanted > self.reserved {
            self.budget.add(wanted - self.reserved, usize::MAX);
            self.reserved = wanted;
        } else {
            self.shrink(wanted);
        }
    }

    fn shrink(&mut self, wanted: usize) {
        if wanted < self.reserved {
            self.budget.used.fetch_sub(self.reserved - wanted, Relaxed);
            self.reserved = wanted;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_budget_is_given_back_and_never_exceeded_by_requests() {
        let budget = MemoryBudget::new(1 << 20);
        let (mut large, mut small) = (Reservation::new(&budget), Reservation::new(&budget));
        assert!(large.resize(UNIT - 1));
        assert_eq!(budget.used(), 0, "little is not counted");
        assert!(!large.resize(1 << 20), "the last eighth is for small ones");
        assert!(large.resize(7 << 17));
        assert!(small.resize(1 << 17));
        assert!(!small.resize((1 << 17) + UNIT));
        assert_eq!(budget.used(), 1 << 20);
        small.force(1 << 18);
        assert_eq!(budget.used(), (1 << 20) + (1 << 17));
        assert!(large.resize(0));
        drop(small);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn memory_budget_counts_shared_bytes_until_the_last_reference_is_dropped() {
        let budget = MemoryBudget::new(1 << 20);
        let shared = budget.count_shared(Bytes::from(vec![7; 1 << 19])).unwrap();
        assert!(budget.count_shared(Bytes::from(vec![7; 1 << 19])).is_none());
        let part = shared.slice(1..3);
        drop(shared);
        assert_eq!((budget.used(), &part[..]), (1 << 19, &[7, 7][..]));
        drop(part);
        assert_eq!(budget.used(), 0);
    }
}
