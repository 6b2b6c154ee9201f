//! Payload that all sessions of an endpoint send from the same memory.

use std::sync::{Mutex, PoisonError};

use tungstenite::Bytes;

/// A block of bytes that grows to the largest size that was asked for. Sessions that began before it grew
/// keep the old one; its size doubles, so all of them together take less than twice the largest.
pub(super) struct SharedBlock {
    /// Makes a block of this size.
    make: fn(usize) -> Vec<u8>,
    block: Mutex<Bytes>,
}

impl SharedBlock {
    pub(super) const fn new(make: fn(usize) -> Vec<u8>) -> Self {
        Self { make, block: Mutex::new(Bytes::new()) }
    }

    /// Returns the last `size` bytes of the block, without a copy.
    pub(super) fn last(&self, size: usize) -> Bytes {
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        if block.len() < size {
            *block = Bytes::from((self.make)(size.next_power_of_two()));
        }
        block.slice(block.len() - size..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_block_is_shared_until_it_has_to_grow() {
        let block = SharedBlock::new(|size| vec![7; size]);
        let (large, small) = (block.last(1000), block.last(10));
        assert_eq!((large.len(), small.len()), (1000, 10));
        assert_eq!(large.as_ptr().wrapping_add(990), small.as_ptr());
        assert_eq!(block.last(1025).len(), 1025);
    }
}
