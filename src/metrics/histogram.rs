//! Histograms with fixed buckets: sizes of received messages, lengths of sessions.

use std::time::Duration;

/// Upper bounds of the buckets of message sizes, in bytes, each four times the one before. A last bucket has
/// the rest.
pub(super) const SIZE_BOUNDS: [u64; 10] =
    [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20];

/// Number of buckets of message sizes.
pub(super) const SIZE_BUCKETS: usize = SIZE_BOUNDS.len() + 1;

/// Upper bounds of the buckets of session lengths, in seconds. A last bucket has the rest.
pub(super) const LENGTH_BOUNDS: [f64; 8] = [0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0];

/// Returns the index of the first bucket whose bound is not below `size`.
pub(super) fn bucket_of_size(size: u64) -> usize {
    // One less than each bound has two bits more than one less than the bound before: 6, 8, 10 and so on.
    let bits = (u64::BITS - size.saturating_sub(1).leading_zeros()) as usize;
    (bits.saturating_sub(5) / 2).min(SIZE_BUCKETS - 1)
}

/// Numbers of messages by their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeCounts(pub(super) [u64; SIZE_BUCKETS]);

impl std::ops::Sub for SizeCounts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index] - earlier.0[index]))
    }
}

impl std::ops::AddAssign for SizeCounts {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

/// Numbers of ended sessions by their length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LengthCounts {
    pub(super) counts: [u64; LENGTH_BOUNDS.len() + 1],
    /// Sum of all lengths.
    pub(super) sum: Duration,
}

impl LengthCounts {
    /// Counts a session.
    pub(super) fn record(&mut self, length: Duration) {
        let bucket = LENGTH_BOUNDS.partition_point(|&bound| bound < length.as_secs_f64());
        self.counts[bucket] += 1;
        self.sum += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_size_is_counted_in_the_first_bucket_that_is_not_below_it() {
        let sizes = (0..=4100).chain(SIZE_BOUNDS.iter().flat_map(|bound| [bound - 1, *bound, bound + 1]));
        for size in sizes.chain([u64::MAX]) {
            assert_eq!(
                bucket_of_size(size),
                SIZE_BOUNDS.partition_point(|&bound| bound < size),
                "{size} bytes"
            );
        }
    }
}
