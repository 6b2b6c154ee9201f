//! Pseudo-random numbers for jitter, masks and incompressible payloads. Not for secrets.
//!
//! Public because the load generator uses it for masks and payloads.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Increment of the state of `SplitMix64`.
const INCREMENT: u64 = 0x9e37_79b9_7f4a_7c15;

/// Returns the output of `SplitMix64` for the state `number`.
#[must_use]
pub fn splitmix64(number: u64) -> u64 {
    let mut z = number.wrapping_add(INCREMENT);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A `SplitMix64` generator.
#[derive(Debug)]
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

impl Random {
    /// Creates a generator with a random seed.
    #[must_use]
    pub fn new() -> Self {
        // The standard library seeds `RandomState` from the operating system.
        Self(RandomState::new().build_hasher().finish())
    }

    /// Returns the next number.
    pub fn next_u64(&mut self) -> u64 {
        let next = splitmix64(self.0);
        self.0 = self.0.wrapping_add(INCREMENT);
        next
    }

    /// Returns a number from 0 to `max` inclusive.
    pub fn range_inclusive(&mut self, max: u64) -> u64 {
        let next = self.next_u64();
        max.checked_add(1).map_or(next, |range| next % range)
    }

    /// Returns `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next_u64().to_ne_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}
