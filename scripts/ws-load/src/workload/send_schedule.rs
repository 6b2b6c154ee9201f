//! When each message is due at a constant rate. The moment is computed from the number of the message and
//! never stored, so a backlog of any length needs no memory.

use std::time::{Duration, Instant};

/// The moments of a run that all threads use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeline {
    /// The load starts.
    pub(crate) start: Instant,
    /// The measured time starts.
    pub(crate) measure: Instant,
    /// The measured time ends, and nothing is due from here on. `None` if only a number of messages ends the
    /// run.
    pub(crate) end: Option<Instant>,
}

impl Timeline {
    pub(crate) fn new(start: Instant, warmup: Duration, duration: Option<Duration>) -> Self {
        let measure = start + warmup;
        // A duration that the clock cannot represent has no end.
        Self { start, measure, end: duration.and_then(|duration| measure.checked_add(duration)) }
    }

    /// Returns whether `moment` lies in the measured time.
    pub(crate) fn is_measured(&self, moment: Instant) -> bool {
        moment >= self.measure && self.end.is_none_or(|end| moment < end)
    }
}

/// A constant rate over all connections, which take turns. A slot is the number of a message in the whole
/// run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendSchedule {
    start: Instant,
    rate: u64,
    connections: u32,
}

impl SendSchedule {
    /// Creates a schedule of `rate` messages per second.
    pub(crate) fn new(start: Instant, rate: u64, connections: u32) -> Self {
        Self { start, rate: rate.max(1), connections: connections.max(1) }
    }

    /// Returns the slot of message `sequence` of `connection`.
    pub(crate) fn slot(&self, connection: u32, sequence: u64) -> u64 {
        sequence.saturating_mul(u64::from(self.connections)).saturating_add(u64::from(connection))
    }

    /// Returns the number of slots that are due before `moment`.
    pub(crate) fn slots_before(&self, moment: Instant) -> u64 {
        let nanos = moment.saturating_duration_since(self.start).as_nanos();
        u64::try_from((nanos * u128::from(self.rate)).div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
    }

    /// Returns when message `sequence` of `connection` should be sent.
    pub(crate) fn due(&self, connection: u32, sequence: u64) -> Instant {
        let slot = u128::from(self.slot(connection, sequence));
        let nanos = slot * 1_000_000_000 / u128::from(self.rate);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_schedule_spreads_messages_evenly_over_time_and_connections() {
        let start = Instant::now();
        let schedule = SendSchedule::new(start, 1000, 4);
        let mut due: Vec<_> =
            (0..4).flat_map(|c| (0..250).map(move |s| schedule.due(c, s) - start)).collect();
        due.sort_unstable();
        let expected: Vec<_> = (0..1000).map(Duration::from_millis).collect();
        assert_eq!(due, expected);
        for (count, moment) in [(0, 0), (1, 1), (1000, 1000)] {
            assert_eq!(schedule.slots_before(start + Duration::from_millis(moment)), count);
        }
    }
}
