//! When each message is due at a constant rate. The moment is computed from the number of the message and
//! never stored, so a backlog of any length needs no memory.

use super::slot_queue::Ticket;
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

/// A constant rate over all connections of a run. A slot is the number of a message in the whole run. The
/// slots are divided among the threads in proportion to their connections: the part of a thread is its lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendSchedule {
    start: Instant,
    rate: u64,
    connections: u64,
    threads: u64,
}

impl SendSchedule {
    /// Creates a schedule of `rate` messages per second.
    pub(crate) fn new(start: Instant, rate: u64, connections: u32, threads: u32) -> Self {
        let (connections, threads) = (u64::from(connections.max(1)), u64::from(threads.max(1)));
        Self { start, rate: rate.max(1), connections, threads }
    }

    /// Returns the slot of a message of a lane.
    fn slot(&self, Ticket { lane, index }: Ticket) -> u64 {
        let (lane, threads) = (u64::from(lane), self.threads);
        // The thread has every `threads`th connection, beginning with number `lane`.
        let own = (self.connections + threads - 1).saturating_sub(lane) / threads;
        let (round, place) = (index / own.max(1), index % own.max(1));
        round.saturating_mul(self.connections).saturating_add(lane + place * threads)
    }

    /// Returns the number of slots that are due before `moment`.
    pub(crate) fn slots_before(&self, moment: Instant) -> u64 {
        let nanos = moment.saturating_duration_since(self.start).as_nanos();
        u64::try_from((nanos * u128::from(self.rate)).div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
    }

    /// Returns how many of the first `slots` slots are those of `lane`.
    pub(crate) fn lane_len(&self, lane: u32, slots: u64) -> u64 {
        let (lane, threads) = (u64::from(lane), self.threads);
        let own = |connections: u64| (connections + threads - 1).saturating_sub(lane) / threads;
        (slots / self.connections) * own(self.connections) + own(slots % self.connections)
    }

    /// Returns when a message should be sent.
    pub(crate) fn due(&self, ticket: Ticket) -> Instant {
        let nanos = u128::from(self.slot(ticket)) * 1_000_000_000 / u128::from(self.rate);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_schedule_spreads_messages_evenly_over_time_and_threads() {
        let start = Instant::now();
        for (connections, threads) in [(4, 1), (4, 2), (7, 3), (5, 5)] {
            let schedule = SendSchedule::new(start, 1000, connections, threads);
            let lens: Vec<u64> = (0..threads).map(|lane| schedule.lane_len(lane, 1000)).collect();
            let mut due: Vec<_> = (0..threads)
                .flat_map(|lane| (0..schedule.lane_len(lane, 1000)).map(move |index| Ticket { lane, index }))
                .map(|ticket| schedule.due(ticket) - start)
                .collect();
            due.sort_unstable();
            let expected: Vec<_> = (0..1000).map(Duration::from_millis).collect();
            assert_eq!(due, expected, "{connections} connections, {lens:?}");
            for (lane, len) in (0_u64..).zip(&lens) {
                let own = (u64::from(connections) - lane).div_ceil(u64::from(threads));
                assert!((1000 * own / u64::from(connections)).abs_diff(*len) <= own, "{lens:?}");
            }
            for (count, moment) in [(0, 0), (1, 1), (1000, 1000)] {
                assert_eq!(schedule.slots_before(start + Duration::from_millis(moment)), count);
            }
        }
    }
}
