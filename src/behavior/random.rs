//! Numbers that look random, for jitter and for payloads that do not compress.

use std::hash::{BuildHasher, Hasher, RandomState};

/// `SplitMix64`: small, fast, and not for secrets.
pub(super) struct Random(u64);

impl Random {
    /// Another sequence each time.
    pub(super) fn new() -> Self {
        // The standard library seeds its hash maps from the system's randomness.
        Self(RandomState::new().build_hasher().finish())
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `most`.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        let next = self.next();
        most.checked_add(1).map_or(next, |range| next % range)
    }

    /// That many bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_ne_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}
