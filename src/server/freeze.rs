//! Detects that the process did not run for a while: SIGSTOP, a frozen control group, a paused virtual
//! machine.
//!
//! The clock goes on meanwhile, and the time-outs would end sessions whose peers had no fault. The supervisor
//! therefore starts all timers again after a freeze.

use std::time::{Duration, Instant};

/// Number of ticks without a wake-up that are a freeze. A busy machine may miss one.
const FREEZE_TICKS: u32 = 3;

/// Shortest time without a wake-up that is a freeze.
const MIN_FREEZE: Duration = Duration::from_millis(300);

/// Time without a wake-up during the drain that is a freeze. It prolongs the drain, so a busy machine must
/// not reach it.
const DRAIN_FREEZE: Duration = Duration::from_secs(1);

/// Time after a freeze in which only one of twice its length counts. On a machine that is so busy that the
/// supervisor wakes up late again and again, time-outs would otherwise never pass.
const FREEZE_DISTANCE: Duration = Duration::from_mins(5);

/// Compares the times at which a thread wakes up that should do so at each tick.
#[derive(Debug)]
pub(super) struct FreezeDetector {
    last_wakeup: Instant,
    /// Shortest time between two wake-ups that is a freeze.
    threshold: Duration,
    /// When the last freeze ended, and how long it was.
    last_freeze: Option<(Instant, Duration)>,
}

impl FreezeDetector {
    /// Begins at a time at which the thread runs.
    pub(super) fn new(now: Instant, tick: Duration) -> Self {
        Self { last_wakeup: now, threshold: (tick * FREEZE_TICKS).max(MIN_FREEZE), last_freeze: None }
    }

    /// Begins for the drain.
    pub(super) fn for_drain(now: Instant) -> Self {
        Self { last_wakeup: now, threshold: DRAIN_FREEZE, last_freeze: None }
    }

    /// Records a wake-up. Returns the time since the last one if that is a freeze: if it is long, and was not
    /// preceded by a similar one within [`FREEZE_DISTANCE`].
    pub(super) fn wake_up(&mut self, now: Instant) -> Option<Duration> {
        let before = std::mem::replace(&mut self.last_wakeup, now);
        let gap = now.saturating_duration_since(before);
        let is_repeated = self.last_freeze.is_some_and(|(end, length)| {
            before.saturating_duration_since(end) < FREEZE_DISTANCE && gap < 2 * length
        });
        let is_freeze = gap >= self.threshold && !is_repeated;
        if is_freeze {
            self.last_freeze = Some((now, gap));
        }
        is_freeze.then_some(gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freeze_is_a_time_of_some_ticks_without_a_wakeup() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut detector = FreezeDetector::new(start, second);
        assert_eq!(detector.wake_up(start + second), None);
        assert_eq!(detector.wake_up(start + 3 * second), None, "one tick was missed");
        assert_eq!(detector.wake_up(start + 13 * second), Some(10 * second));
        assert_eq!(detector.wake_up(start + 14 * second), None, "counted once");
    }

    #[test]
    fn supervisor_that_is_always_late_has_one_freeze_in_five_minutes() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut detector = FreezeDetector::new(start, second / 10);
        let late = (1..=400).filter(|n| detector.wake_up(start + *n * second).is_some());
        // The first, and the first that begins five minutes after it.
        assert_eq!(late.collect::<Vec<_>>(), [1, 302]);
        assert_eq!(detector.wake_up(start + 401 * second), None);
        assert_eq!(detector.wake_up(start + 403 * second), Some(2 * second), "of twice the length");
    }

    #[test]
    fn freeze_is_not_a_few_missed_short_ticks() {
        let (start, tick) = (Instant::now(), Duration::from_millis(10));
        let mut detector = FreezeDetector::new(start, tick);
        assert_eq!(detector.wake_up(start + 20 * tick), None);
        assert_eq!(detector.wake_up(start + 20 * tick + MIN_FREEZE), Some(MIN_FREEZE));
        let mut detector = FreezeDetector::for_drain(start);
        assert_eq!(detector.wake_up(start + 2 * MIN_FREEZE), None);
    }
}
