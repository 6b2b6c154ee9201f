//! What an interval log contains besides histograms: the run in its first lines, the totals in its last one.
//! Both are comments with JSON, which other readers of the format skip.

use super::{host_info::HostInfo, in_flight_limit::InFlightLimit};
use crate::{
    numbers,
    stats::{counters::Count, recorder::Metric},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// Version of the comments. It rises when one of their names changes its meaning or is removed.
pub(super) const LOG_VERSION: u64 = 2;
/// How the comment with the run starts.
pub(super) const RUN_COMMENT: &str = "#ws-load-run ";
/// How the comment with the totals starts. It is the last line of a complete log.
pub(super) const TOTALS_COMMENT: &str = "#ws-load-totals ";
/// How the only comment of logs of version 1 starts.
pub(super) const VERSION_1_COMMENT: &str = "#ws-load ";

/// The tags of the lines.
pub(super) const TAGS: [(Metric, Option<&str>); 12] = [
    (Metric::Corrected, None),
    (Metric::Raw, Some("raw")),
    (Metric::Connect, Some("connect")),
    (Metric::Tls, Some("tls")),
    (Metric::Handshake, Some("handshake")),
    (Metric::Opening, Some("opening")),
    (Metric::Cycle, Some("cycle")),
    (Metric::Down, Some("down")),
    (Metric::Gap, Some("gap")),
    (Metric::Compression, Some("compression")),
    (Metric::Lateness, Some("lateness")),
    (Metric::LoopLateness, Some("loop")),
];

/// The run that a log belongs to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoggedRun {
    /// [`LOG_VERSION`].
    pub(crate) version: u64,
    pub(crate) tool: String,
    /// Identifies the run: two logs with the same value are copies.
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) machine: HostInfo,
    pub(crate) rate_asked: Option<u64>,
}

/// The results of a run that do not follow from the histograms.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the JSON")]
pub(crate) struct LoggedTotals {
    /// When the measured time began, in nanoseconds since 1970.
    pub(crate) measured_from_ns: u64,
    pub(crate) measured_ns: u64,
    pub(crate) opening_seconds: Option<f64>,
    pub(crate) interrupted: bool,
    pub(crate) rate_reached: Option<bool>,
    pub(crate) open_at_end: u32,
    pub(crate) open_peak: u32,
    pub(crate) kept_schedule: bool,
    pub(crate) sent_late: bool,
    pub(crate) in_flight_limit: Option<InFlightLimit>,
    pub(crate) saturated: bool,
    pub(crate) starved: bool,
    pub(crate) waited: Option<f64>,
    pub(crate) busy: Option<f64>,
    pub(crate) cpu_user_seconds: Option<f64>,
    pub(crate) cpu_system_seconds: Option<f64>,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) reasons: BTreeMap<String, u64>,
}

impl LoggedTotals {
    /// Returns the start and the end of the measured time, in nanoseconds since 1970.
    pub(crate) fn span(&self) -> (u64, u64) {
        (self.measured_from_ns, self.measured_from_ns.saturating_add(self.measured_ns))
    }

    /// Returns the valid replies per second in the measured time. `None` if nothing was measured.
    pub(crate) fn rate(&self) -> Option<f64> {
        let replies = self.counters.get(Count::InWindow.name()).copied().unwrap_or(0);
        let seconds = Duration::from_nanos(self.measured_ns).as_secs_f64();
        numbers::quotient(numbers::u64_to_f64(replies), seconds)
    }
}

/// Returns a time as nanoseconds since 1970. Times before it are 0.
pub(super) fn unix_nanos(time: SystemTime) -> u64 {
    numbers::nanos(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// Returns nanoseconds since 1970 as a time in UTC: `2026-01-31T12:00:00.000Z`.
pub(super) fn utc(unix_nanos: u64) -> String {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(unix_nanos));
    time.map_or_else(String::new, |time| humantime::format_rfc3339_millis(time).to_string())
}
