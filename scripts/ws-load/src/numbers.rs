//! Conversions between integers, floats and durations.

use std::time::Duration;

/// Converts a count to a float. Above 2^53 it loses its last digits, which no report shows.
#[allow(clippy::cast_precision_loss, reason = "counts in reports need no more than 53 bits")]
pub(crate) fn u64_to_f64(count: u64) -> f64 {
    count as f64
}

/// Rounds a float to a count. Values out of range become 0 or `u64::MAX`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and negative values become 0 before it"
)]
pub(crate) fn f64_to_u64(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

/// Converts a length to a count.
pub(crate) fn usize_to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Converts a count to a length, at most `usize::MAX`.
pub(crate) fn u64_to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Returns a duration in nanoseconds, at most `u64::MAX`, which is 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns `part / whole`, or `None` if `whole` is not positive.
pub(crate) fn quotient(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// Returns `part / whole`, or 0 if `whole` is 0.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { u64_to_f64(part) / u64_to_f64(whole) }
}
