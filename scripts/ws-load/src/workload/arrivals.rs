//! How messages are distributed in time: at equal distances, or at random ones.

use crate::numbers;
use std::cell::RefCell;
use ws_echo::platform::random::splitmix64;

/// Number of messages in a block. Each block has as many messages as a constant rate would have, so that any
/// message is computed without those of earlier blocks, and the rate of a run is exact.
const BLOCK: u64 = 256;

/// How messages are distributed in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// At equal distances.
    #[default]
    Even,
    /// At random, independently of each other, as the messages of many independent users are.
    Poisson,
}

/// The arrival times of a Poisson process. They are measured in messages of the mean rate, and computed from
/// the seed and the number of a block.
#[derive(Debug)]
pub(crate) struct PoissonTimes {
    seed: u64,
    /// The last block that was computed: its number, and the times in it.
    last: RefCell<(u64, Vec<f64>)>,
}

impl PoissonTimes {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, last: RefCell::new((u64::MAX, Vec::new())) }
    }

    fn with_block<R>(&self, block: u64, action: impl FnOnce(&[f64]) -> R) -> R {
        let mut last = self.last.borrow_mut();
        let (number, times) = &mut *last;
        if *number != block {
            *number = block;
            self.compute(block, times);
        }
        action(times)
    }

    /// Computes the times of a block: sums of exponential distances, scaled to the length of the block.
    fn compute(&self, block: u64, times: &mut Vec<f64>) {
        times.clear();
        let mut sum = 0.0;
        for number in 0..=BLOCK {
            let random =
                splitmix64(self.seed ^ splitmix64(block.wrapping_mul(BLOCK + 1).wrapping_add(number)));
            // 53 bits, above 0 and at most 1.
            let uniform = (numbers::u64_to_f64(random >> 11) + 1.0) / 9_007_199_254_740_992.0;
            sum -= uniform.ln();
            times.push(sum);
        }
        times.pop();
        let length = numbers::u64_to_f64(BLOCK);
        for time in times {
            *time *= length / sum;
        }
    }

    /// Returns when message `slot` arrives.
    pub(crate) fn time(&self, slot: u64) -> f64 {
        let (block, place) = (slot / BLOCK, numbers::u64_to_usize(slot % BLOCK));
        let within = self.with_block(block, |times| times.get(place).copied().unwrap_or(0.0));
        numbers::u64_to_f64(block * BLOCK) + within
    }

    /// Returns the number of messages that arrive before `time`.
    pub(crate) fn count_before(&self, time: f64) -> u64 {
        let block = numbers::f64_to_u64((time / numbers::u64_to_f64(BLOCK)).floor());
        let start = block.saturating_mul(BLOCK);
        let within = time - numbers::u64_to_f64(start);
        let count = self.with_block(block, |times| times.partition_point(|arrival| *arrival < within));
        start.saturating_add(numbers::usize_to_u64(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poisson_times_have_the_distances_of_a_poisson_process() {
        let times = PoissonTimes::new(3);
        let arrivals: Vec<f64> = (0..100_000).map(|slot| times.time(slot)).collect();
        assert!(arrivals.is_sorted());
        let gaps: Vec<f64> = arrivals.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let number = numbers::u64_to_f64(numbers::usize_to_u64(gaps.len()));
        let mean = gaps.iter().sum::<f64>() / number;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / number;
        // The exponential distribution has a standard deviation equal to its mean.
        assert!((mean - 1.0).abs() < 0.01 && (variance - 1.0).abs() < 0.05, "{mean}, {variance}");
        let long = gaps.iter().filter(|gap| **gap > 2.0).count();
        let share = numbers::u64_to_f64(numbers::usize_to_u64(long)) / number;
        assert!((share - (-2.0_f64).exp()).abs() < 0.01, "{share}");
        for slot in [0, 1, 255, 256, 70_000] {
            assert_eq!(times.count_before(times.time(slot)), slot);
            assert_eq!(times.count_before(times.time(slot) + 1e-9), slot + 1);
        }
    }
}
