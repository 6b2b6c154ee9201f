//! The time between two attempts to connect.

use std::time::Duration;

use crate::platform::random::Random;

/// Longest first and longest time between two attempts.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Grows from 0.1 s to 5 s. Each time is random between its half and the whole, so that many instances do not
/// connect at once.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    random: Random,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST, random: Random::new() }
    }

    /// Returns the time until the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        let micros = u64::try_from(whole.as_micros() / 2).unwrap_or_default();
        whole / 2 + Duration::from_micros(self.random.range_inclusive(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_to_its_limit_with_jitter() {
        let mut backoff = Backoff::new();
        let mut whole = FIRST;
        for _ in 0..12 {
            let wait = backoff.next();
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
            whole = (whole * 2).min(LONGEST);
        }
        assert_eq!(whole, LONGEST);
    }
}
