//! When each message is due at a given rate. The moment is computed from the number of the message and
//! never stored, so a backlog of any length needs no memory.

use super::{
    arrivals::{Arrivals, PoissonTimes},
    slot_queue::Ticket,
    stages::Stages,
};
use crate::numbers;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

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

/// What a schedule is made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace {
    /// Messages per second. With stages, their mean.
    pub(crate) rate: u64,
    /// The highest rate.
    pub(crate) peak: u64,
    pub(crate) stages: Option<Arc<Stages>>,
    pub(crate) arrivals: Arrivals,
    /// Seed of random arrivals.
    pub(crate) seed: u64,
}

/// The messages of a run over all its connections. A slot is the number of a message in the whole run. The
/// slots are divided among the threads in proportion to their connections: the part of a thread is its lane.
#[derive(Debug)]
pub(crate) struct SendSchedule {
    start: Instant,
    times: SlotTimes,
    connections: u64,
    threads: u64,
}

/// When slots are due, since the start of the schedule.
#[derive(Debug)]
enum SlotTimes {
    /// At this rate, in whole numbers.
    Constant(u64),
    /// At a changing rate, or at random times.
    Varying { stages: Arc<Stages>, poisson: Option<PoissonTimes> },
}

impl SlotTimes {
    fn new(pace: &Pace) -> Self {
        let poisson = (pace.arrivals == Arrivals::Poisson).then(|| PoissonTimes::new(pace.seed));
        match (&pace.stages, poisson) {
            (None, None) => Self::Constant(pace.rate.max(1)),
            (None, poisson) => {
                Self::Varying { stages: Arc::new(Stages::constant(pace.rate.max(1))), poisson }
            }
            (Some(stages), poisson) => Self::Varying { stages: Arc::clone(stages), poisson },
        }
    }

    /// Returns when `slot` is due.
    fn due(&self, slot: u64) -> Duration {
        match self {
            Self::Constant(rate) => {
                let nanos = u128::from(slot) * 1_000_000_000 / u128::from(*rate);
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
            Self::Varying { stages, poisson } => {
                let number =
                    poisson.as_ref().map_or_else(|| numbers::u64_to_f64(slot), |times| times.time(slot));
                Duration::from_nanos(numbers::f64_to_u64(stages.time(number) * 1e9))
            }
        }
    }

    /// Returns the number of slots that are due before `time`.
    fn count_before(&self, time: Duration) -> u64 {
        match self {
            Self::Constant(rate) => {
                let number = (time.as_nanos() * u128::from(*rate)).div_ceil(1_000_000_000);
                u64::try_from(number).unwrap_or(u64::MAX)
            }
            Self::Varying { stages, poisson } => {
                let number = stages.count(time.as_secs_f64());
                match poisson {
                    Some(times) => times.count_before(number),
                    None => numbers::f64_to_u64(number.ceil()),
                }
            }
        }
    }
}

impl SendSchedule {
    /// Creates a schedule.
    pub(crate) fn new(start: Instant, pace: &Pace, connections: u32, threads: u32) -> Self {
        let (connections, threads) = (u64::from(connections.max(1)), u64::from(threads.max(1)));
        Self { start, times: SlotTimes::new(pace), connections, threads }
    }

    /// Returns the slot of a message of a lane.
    fn slot(&self, Ticket { lane, index }: Ticket) -> u64 {
        // The thread has every `threads`th connection, beginning with number `lane`.
        let own = self.lane_connections(lane);
        let (lane, threads) = (u64::from(lane), self.threads);
        let (round, place) = (index / own.max(1), index % own.max(1));
        round.saturating_mul(self.connections).saturating_add(lane + place * threads)
    }

    /// Returns the number of slots that are due before `moment`.
    pub(crate) fn slots_before(&self, moment: Instant) -> u64 {
        self.times.count_before(moment.saturating_duration_since(self.start))
    }

    /// Returns how many of the first `slots` slots are those of `lane`.
    pub(crate) fn lane_len(&self, lane: u32, slots: u64) -> u64 {
        let (lane, threads) = (u64::from(lane), self.threads);
        let own = |connections: u64| (connections + threads - 1).saturating_sub(lane) / threads;
        (slots / self.connections) * own(self.connections) + own(slots % self.connections)
    }

    /// Returns when a message should be sent.
    pub(crate) fn due(&self, ticket: Ticket) -> Instant {
        self.due_slot(self.slot(ticket))
    }

    /// Returns when a slot is due.
    pub(crate) fn due_slot(&self, slot: u64) -> Instant {
        self.start + self.times.due(slot)
    }

    /// Returns how many of the `connections` are those of `lane`.
    pub(crate) fn lane_connections(&self, lane: u32) -> u64 {
        (self.connections + self.threads - 1).saturating_sub(u64::from(lane)) / self.threads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: u64) -> Pace {
        Pace { rate, peak: rate, stages: None, arrivals: Arrivals::Even, seed: 0 }
    }

    #[test]
    fn send_schedule_agrees_with_itself_about_what_is_due() {
        let start = Instant::now();
        let stages: Stages = "0..1000/2s,1000/1s,1000..100/1s".parse().expect("stages");
        for stages in [None, Some(Arc::new(stages))] {
            for arrivals in [Arrivals::Even, Arrivals::Poisson] {
                let pace = Pace { stages: stages.clone(), arrivals, ..pace(1000) };
                let schedule = SendSchedule::new(start, &pace, 1, 1);
                let due: Vec<_> =
                    (0..2550).map(|index| schedule.due(Ticket { lane: 0, index }) - start).collect();
                assert!(due.is_sorted(), "{pace:?}");
                for (index, due) in (0..).zip(&due) {
                    let before = schedule.slots_before(start + *due);
                    let after = schedule.slots_before(start + *due + Duration::from_millis(1));
                    assert!(before <= index + 1 && after > index, "{pace:?}: {index}, {before}, {after}");
                }
            }
        }
    }

    #[test]
    fn send_schedule_spreads_messages_evenly_over_time_and_threads() {
        let start = Instant::now();
        for (connections, threads) in [(4, 1), (4, 2), (7, 3), (5, 5)] {
            let schedule = SendSchedule::new(start, &pace(1000), connections, threads);
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
