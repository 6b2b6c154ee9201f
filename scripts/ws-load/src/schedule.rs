//! When each message is due at a constant rate: computed from its number, never kept, so that a backlog of any length
//! needs no memory.

use std::time::{Duration, Instant};

/// The moments of a run that all threads agree on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    /// The load starts.
    pub(super) start: Instant,
    /// What is due from here on is measured.
    pub(super) measure: Instant,
    /// Nothing is due from here on, unless the run is ended by a number of messages.
    pub(super) end: Option<Instant>,
}

impl Timeline {
    pub(super) fn new(start: Instant, warmup: Duration, duration: Option<Duration>) -> Self {
        let measure = start + warmup;
        // A duration beyond what the clock can count has no end.
        Self { start, measure, end: duration.and_then(|duration| measure.checked_add(duration)) }
    }

    /// Whether a message due at `due`, or a reply at that moment, belongs to the figures.
    pub(super) fn is_measured(&self, at: Instant) -> bool {
        at >= self.measure && self.end.is_none_or(|end| at < end)
    }
}

/// A constant rate, dealt to the connections in turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    start: Instant,
    rate: u64,
    connections: u32,
}

impl Schedule {
    pub(super) fn new(start: Instant, rate: u64, connections: u32) -> Self {
        Self { start, rate: rate.max(1), connections: connections.max(1) }
    }

    /// The place of message `sequence` of `connection` in the whole run's order.
    pub(super) fn place(&self, connection: u32, sequence: u64) -> u64 {
        sequence.saturating_mul(u64::from(self.connections)).saturating_add(u64::from(connection))
    }

    /// How many messages of the whole run are due before `moment`.
    pub(super) fn places_before(&self, moment: Instant) -> u64 {
        let nanos = moment.saturating_duration_since(self.start).as_nanos();
        u64::try_from((nanos * u128::from(self.rate)).div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
    }

    /// When message `sequence` of `connection` should be sent.
    pub(super) fn due(&self, connection: u32, sequence: u64) -> Instant {
        let place = u128::from(self.place(connection, sequence));
        let nanos = place * 1_000_000_000 / u128::from(self.rate);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_dealt_evenly_and_in_turn() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 1000, 4);
        let mut due: Vec<_> =
            (0..4).flat_map(|c| (0..250).map(move |s| schedule.due(c, s) - start)).collect();
        due.sort_unstable();
        let expected: Vec<_> = (0..1000).map(Duration::from_millis).collect();
        assert_eq!(due, expected);
        for (count, moment) in [(0, 0), (1, 1), (1000, 1000)] {
            assert_eq!(schedule.places_before(start + Duration::from_millis(moment)), count);
        }
    }
}
