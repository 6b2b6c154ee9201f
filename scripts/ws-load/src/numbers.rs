//! The few conversions between integers, floats and durations that the rest needs, in one place.

use std::time::Duration;

/// A count as a float. Above 2^53 it loses its last digits, which no report shows.
#[allow(clippy::cast_precision_loss, reason = "counts in reports need no more than 53 bits")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// A float as a count: rounded, and held within what a count can be.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and negatives are cut"
)]
pub(super) fn count(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

/// A length in memory as a count.
pub(super) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A count as a length in memory, at most what this machine can address.
pub(super) fn narrow(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// A duration in nanoseconds; 584 years and more are one.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// `part` of `whole` as a share between 0 and 1, and 0 of nothing.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}
