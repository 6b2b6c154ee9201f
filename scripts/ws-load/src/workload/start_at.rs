//! The common start of several generators (`--start-at`).

use crate::error::LoadError;
use std::{
    str::FromStr,
    time::{Duration, Instant, SystemTime},
};

/// Longest time to wait for the start. A later one is a mistake in the date.
const MAX_WAIT: Duration = Duration::from_hours(24);
/// A start that is later than asked for by more than this is reported.
const LATE: Duration = Duration::from_millis(50);

/// When the load starts, by the clock of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartAt(SystemTime);

impl FromStr for StartAt {
    type Err = String;

    /// Parses a time of RFC 3339 in UTC, or `+` and the time from now on.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            "expected a time in UTC, such as 2026-01-31T12:00:00Z, or the time from now, such as +10s";
        let time = match text.strip_prefix('+') {
            Some(wait) => {
                humantime::parse_duration(wait).ok().and_then(|wait| SystemTime::now().checked_add(wait))
            }
            None => humantime::parse_rfc3339(text).ok(),
        };
        time.map(Self).ok_or_else(|| expected.to_owned())
    }
}

impl StartAt {
    /// Checks that the start is neither in the past nor more than a day away. The error says how far.
    pub(crate) fn check(self) -> Result<(), LoadError> {
        let time = humantime::format_rfc3339_millis(self.0);
        let problem = match self.0.duration_since(SystemTime::now()) {
            Ok(wait) if wait > MAX_WAIT => format!(
                "--start-at {time} is {} away by the clock of this machine; it must be within a day",
                humantime::format_duration(Duration::from_secs(wait.as_secs()))
            ),
            Ok(_) => return Ok(()),
            Err(past) => format!(
                "--start-at {time} was {:.3} s ago by the clock of this machine; choose a later time, or correct the clock",
                past.duration().as_secs_f64()
            ),
        };
        Err(LoadError::Usage(problem))
    }

    /// Returns the moment of the start, or `earliest` if that is later, with a line on standard error.
    pub(crate) fn moment(self, earliest: Instant) -> Instant {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let asked = match self.0.duration_since(clock) {
            Ok(wait) => now.checked_add(wait),
            Err(past) => now.checked_sub(past.duration()),
        };
        let late = asked.map_or(Duration::ZERO, |asked| earliest.saturating_duration_since(asked));
        if late > LATE {
            eprintln!(
                "ws-load: the load starts {:.3} s after --start-at: the connections were not open before; choose a later time",
                late.as_secs_f64()
            );
        }
        asked.map_or(earliest, |asked| asked.max(earliest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_is_a_time_in_utc_or_from_now() {
        let parsed: StartAt = "2026-01-31T12:00:00.5Z".parse().unwrap();
        let since = parsed.0.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since, Duration::from_millis(1_769_860_800_500));
        let soon: StartAt = "+10s".parse().unwrap();
        assert!(soon.check().is_ok());
        let instant = Instant::now();
        let wait = soon.moment(instant).duration_since(instant);
        assert!((Duration::from_secs(9)..=Duration::from_secs(10)).contains(&wait), "{wait:?}");
        for invalid in ["", "+", "10s", "tomorrow", "2026-01-31 12:00", "+1x"] {
            assert!(invalid.parse::<StartAt>().is_err(), "{invalid}");
        }
    }

    #[test]
    fn start_in_the_past_or_far_away_is_an_error_with_the_distance() {
        let check = |time| StartAt(time).check().unwrap_err().to_string();
        let past = check(SystemTime::now() - Duration::from_secs(3));
        assert!(past.contains(" was 3.0") && past.contains("correct the clock"), "{past}");
        let far = check(SystemTime::now() + Duration::from_hours(25) + Duration::from_millis(500));
        assert!(far.contains("1day 1h away"), "{far}");
    }

    #[test]
    fn start_that_has_passed_is_the_earliest_moment() {
        let earliest = Instant::now();
        assert_eq!(StartAt(SystemTime::now() - Duration::from_millis(10)).moment(earliest), earliest);
    }
}
