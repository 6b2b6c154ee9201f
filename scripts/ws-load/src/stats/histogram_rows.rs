//! A latency histogram in a few rows.

use crate::numbers;
use hdrhistogram::Histogram;

/// Divides the recorded values into `number` rows of equal ratio from the smallest to the largest, because
/// latencies span powers of ten. Returns for each row its upper bound in nanoseconds, and the number of
/// values in it.
pub(crate) fn histogram_rows(latency: &Histogram<u64>, number: usize) -> Vec<(u64, u64)> {
    let (min, max) = (latency.min().max(1), latency.max().max(1));
    let ratio = numbers::u64_to_f64(max) / numbers::u64_to_f64(min);
    let number = numbers::usize_to_u64(number);
    let bound = |row: u64| {
        let exponent = numbers::u64_to_f64(row) / numbers::u64_to_f64(number);
        numbers::f64_to_u64(numbers::u64_to_f64(min) * ratio.powf(exponent))
    };
    let mut below = 0;
    (1..=number)
        .map(|row| {
            let high = if row == number { max } else { bound(row) };
            let up_to = latency.count_between(0, high);
            let count = up_to.saturating_sub(below);
            below = up_to;
            (high, count)
        })
        .collect()
}
