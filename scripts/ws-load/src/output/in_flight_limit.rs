//! Whether the limit of messages in flight, and not the server, held messages back.

use crate::{
    numbers,
    stats::{
        counters::Count,
        recorder::{Metric, Recorder},
    },
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The limit has mattered if it delayed more than this share of the messages.
const DELAYED_SHARE: f64 = 0.01;
/// Factor between the in-flight messages that the latency requires on average, and what is recommended.
const MARGIN: f64 = 1.25;

/// The largest values of `--connections` and `--depth`.
const MAX_CONNECTIONS: u64 = 1_000_000;
const MAX_DEPTH: u64 = 4096;

/// The limit of messages in flight (`--connections` times `--depth`), where it was too low for the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlightLimit {
    /// Number of connections of the run.
    pub connections: u32,
    /// Depth of the run.
    pub depth: u32,
    /// Number of connections that would do at this depth.
    pub connections_needed: u64,
    /// Depth that would do with this number of connections.
    pub depth_needed: u64,
}

impl InFlightLimit {
    /// Returns the limit if it held back messages at `rate` per second, or `None` if the server did or
    /// nothing was held back.
    ///
    /// `unloaded` is the latency of a message that has nothing ahead of it. By Little's law a rate needs rate
    /// × latency messages in flight. If the limit is below that even with the latency of an idle server, then
    /// the limit is the cause. If only the latency under load is too high for the limit, the server is.
    pub(crate) fn detect(
        total: &Recorder,
        (connections, depth): (u32, u32),
        rate: u64,
        unloaded: Option<Duration>,
    ) -> Option<Self> {
        let counters = &total.counters;
        let delayed = numbers::share(counters.get(Count::DelayedByServer), counters.get(Count::Scheduled));
        let limit = f64::from(connections) * f64::from(depth);
        let needed = |latency: f64| numbers::u64_to_f64(rate) * latency;
        if delayed <= DELAYED_SHARE || needed(unloaded?.as_secs_f64()) <= limit {
            return None;
        }
        let p99 = numbers::u64_to_f64(total.histogram(Metric::Raw).value_at_percentile(99.0)) / 1e9;
        let in_flight = needed(p99) * MARGIN;
        let over = |other: u32| numbers::f64_to_u64((in_flight / f64::from(other)).ceil());
        Some(Self { connections, depth, connections_needed: over(depth), depth_needed: over(connections) })
    }

    /// Returns what happened and what to do, for the summary and the page.
    pub(crate) fn advice(&self) -> String {
        let Self { connections, depth, connections_needed, depth_needed } = self;
        let possible: Vec<String> = [
            (*connections_needed <= MAX_CONNECTIONS).then(|| format!("--connections {connections_needed}")),
            (*depth_needed <= MAX_DEPTH).then(|| format!("--depth {depth_needed}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        let advice = if possible.is_empty() {
            "Lower the rate".to_owned()
        } else {
            format!("Use {}", possible.join(" or "))
        };
        format!(
            "{connections} connections with {depth} in flight each are too few for this rate: this limit, \
             not the server, held messages back. {advice}."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(delayed: u64, raw: Duration) -> Recorder {
        let mut total = Recorder::new();
        total.counters.add(Count::Scheduled, 1000);
        total.counters.add(Count::DelayedByServer, delayed);
        total.record(Metric::Raw, raw);
        total
    }

    #[test]
    fn in_flight_limit_is_the_cause_if_an_idle_server_needs_more() {
        let of = |delayed, raw, unloaded| {
            let [raw, unloaded] = [raw, unloaded].map(Duration::from_millis);
            InFlightLimit::detect(&total(delayed, raw), (10, 1), 1000, Some(unloaded))
        };
        // 1,000 messages a second of 50 ms each need 50 in flight.
        let limit = of(900, 50, 50).expect("the limit of 10 is the cause");
        assert!((62..=64).contains(&limit.connections_needed), "{limit:?}");
        assert_eq!(limit.depth_needed, 7);
        assert!(limit.advice().ends_with(" or --depth 7."), "{}", limit.advice());
        let beyond = InFlightLimit { connections_needed: 2_000_000, depth_needed: 5000, ..limit };
        assert!(beyond.advice().ends_with(" Lower the rate."), "{}", beyond.advice());
        // A server that takes 1 ms when idle has become slower than the limit allows for.
        assert_eq!(of(900, 50, 1), None);
        // Nothing was held back.
        assert_eq!(of(5, 50, 50), None);
    }
}
