//! Numbers that look random, for jitter, for masks and for payloads that do not compress.

use std::hash::{BuildHasher, Hasher, RandomState};

/// From one state of `SplitMix64` to the next.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads a number over 64 bits.
pub fn splitmix64(number: u64) -> u64 {
    let mut z = number.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `SplitMix64`: small, fast, and not for secrets.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Another sequence each time.
    pub fn new() -> Self {
        // The standard library seeds its hash maps from the system's randomness.
        Self(RandomState::new().build_hasher().finish())
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        let next = splitmix64(self.0);
        self.0 = self.0.wrapping_add(STEP);
        next
    }

    /// A number from 0 to `most`.
    pub fn range_inclusive(&mut self, most: u64) -> u64 {
        let next = self.next();
        most.checked_add(1).map_or(next, |range| next % range)
    }

    /// That many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_ne_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}
