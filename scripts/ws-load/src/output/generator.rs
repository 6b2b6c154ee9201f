//! How this program performed, in the form of the JSON.

use super::{in_flight_limit::InFlightLimit, verdict::Verdict};
use crate::stats::{
    assertion::Doubt,
    percentiles::Percentiles,
    recorder::{Metric, Recorder},
};
use serde::Serialize;

/// How this program performed.
#[derive(Debug, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a name of the JSON")]
pub struct Generator {
    /// It sent on time, apart from delays that the server caused.
    pub kept_schedule: bool,
    /// It sent late by its own fault.
    #[serde(skip)]
    pub(crate) sent_late: bool,
    /// The limit of messages in flight, if it held messages back and the server did not.
    pub in_flight_limit: Option<InFlightLimit>,
    /// Its threads were busy all the time.
    pub saturated: bool,
    /// Its threads waited for a processor so long that it shows in the latencies.
    pub starved: bool,
    /// Share of the measured time that its threads worked, from 0 to 1. `None` if nothing was measured.
    pub busy: Option<f64>,
    /// Share of the measured time that its threads waited for a processor. `None` if the system does not
    /// report it.
    pub waited: Option<f64>,
    /// How late its loops were: the time that a reply waits for this program.
    pub loop_lateness: Percentiles,
    /// How late it sent messages at a constant rate, without delays that the server caused.
    pub lateness: Percentiles,
    /// CPU seconds in user mode, of the whole process.
    pub cpu_user_seconds: Option<f64>,
    /// CPU seconds in the kernel.
    pub cpu_system_seconds: Option<f64>,
}

impl Generator {
    /// Creates the figures of histograms alone, with a good verdict.
    pub(super) fn of(total: &Recorder) -> Self {
        let of = |metric| Percentiles::of(total.histogram(metric));
        Self {
            kept_schedule: true,
            sent_late: false,
            in_flight_limit: None,
            saturated: false,
            starved: false,
            busy: None,
            waited: None,
            loop_lateness: of(Metric::LoopLateness),
            lateness: of(Metric::Lateness),
            cpu_user_seconds: None,
            cpu_system_seconds: None,
        }
    }

    pub(super) fn set_verdict(&mut self, verdict: Verdict, limit: Option<InFlightLimit>) {
        let Verdict { kept_schedule, saturated, starved } = verdict;
        (self.sent_late, self.in_flight_limit) = (!kept_schedule, limit);
        (self.kept_schedule, self.saturated, self.starved) =
            (kept_schedule && limit.is_none(), saturated, starved);
    }

    /// Returns in which way the figures may be wrong.
    pub(super) fn doubt(&self, total: &Recorder) -> Doubt {
        let Self { kept_schedule, saturated, starved, .. } = *self;
        let verdict = Verdict { kept_schedule, saturated, starved };
        match verdict.doubt(total) {
            // Waits for room in the limit add up.
            Doubt::Late if self.in_flight_limit.is_some() => Doubt::Saturated,
            doubt => doubt,
        }
    }
}
