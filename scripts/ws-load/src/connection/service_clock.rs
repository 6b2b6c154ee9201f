//! The time during which no connection of the run was open.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Counts open connections over all threads, and the time without any.
#[derive(Debug, Default)]
pub(crate) struct ServiceClock(Mutex<Service>);

#[derive(Debug, Default)]
struct Service {
    open: u32,
    /// Since when no connection is open. `None` before the first one is.
    none_since: Option<Instant>,
    without: Duration,
    longest: Duration,
}

/// The time without an open connection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WithoutService {
    pub(crate) total: Duration,
    pub(crate) longest: Duration,
}

impl ServiceClock {
    fn lock(&self) -> MutexGuard<'_, Service> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a connection was opened.
    pub(crate) fn on_open(&self, now: Instant) {
        let mut service = self.lock();
        service.open += 1;
        service.end_gap(now);
    }

    /// Notes that a connection was lost.
    pub(crate) fn on_lost(&self, now: Instant) {
        let mut service = self.lock();
        service.open = service.open.saturating_sub(1);
        if service.open == 0 {
            service.none_since = Some(now);
        }
    }

    /// Returns whether a connection is open.
    pub(crate) fn is_available(&self) -> bool {
        self.lock().open > 0
    }

    /// Returns the time without an open connection until `end`.
    pub(crate) fn until(&self, end: Instant) -> WithoutService {
        let mut service = self.lock();
        service.end_gap(end);
        WithoutService { total: service.without, longest: service.longest }
    }
}

impl Service {
    fn end_gap(&mut self, now: Instant) {
        if let Some(since) = self.none_since.take() {
            let gap = now.saturating_duration_since(since);
            self.without += gap;
            self.longest = self.longest.max(gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_clock_counts_the_time_without_any_connection() {
        let clock = ServiceClock::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        clock.on_open(at(0));
        clock.on_open(at(0));
        clock.on_lost(at(10));
        clock.on_lost(at(20));
        assert!(!clock.is_available());
        clock.on_open(at(50));
        clock.on_lost(at(60));
        let without = clock.until(at(70));
        assert_eq!((without.total, without.longest), (Duration::from_millis(40), Duration::from_millis(30)));
    }
}
