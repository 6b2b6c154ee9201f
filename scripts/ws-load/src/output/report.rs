//! The result of a run, in the form of the JSON. The names are stable: tools may rely on them.

use super::{
    host_info::{self, HostInfo},
    in_flight_limit::InFlightLimit,
    run_info::RunInfo,
};
use crate::{
    numbers,
    runner::outcome::RunOutcome,
    stats::{
        assertion::{AssertInput, AssertOutcome, Assertion},
        counters::Count,
        percentiles::{Percentiles, micros},
        recorder::{Metric, Recorder},
        timeseries::{TimeSeries, TimeSeriesPoint},
    },
    text,
    workload::mode::Mode,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// Version of the names in the JSON. It rises when a name changes its meaning or is removed.
const SCHEMA: u32 = 1;
/// This program has not kept the schedule if it sent more than this share of the messages late.
const LATE_SHARE: f64 = 0.01;
/// Fewer late messages than this are ignored: every machine has some.
const LATE_FEWEST: u64 = 10;
/// Threads that work this share of their time are saturated.
const SATURATED: f64 = 0.95;
/// A rate was not reached if more than this share of its messages was not sent, and more than those of
/// [`UNREACHED_TIME`].
const UNREACHED_SHARE: f64 = 0.01;
/// Longest delay of the end of a run that is ignored, in seconds. Without it a short run would fail because
/// of a few messages.
const UNREACHED_TIME: f64 = 0.1;
/// A rate of replies below this share of `--rate` makes a saturated generator the bottleneck.
const REACHED: f64 = 0.99;

/// The result of a run, or of several that were merged.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of these names.
    pub schema: u32,
    /// Name and version of the program.
    pub tool: String,
    /// When the run ended, in UTC.
    pub ended: String,
    /// Where the load went.
    pub url: String,
    /// The options that influence the figures, in words.
    pub options: BTreeMap<&'static str, String>,
    /// The host of this program.
    pub machine: HostInfo,
    /// The user ended the run early.
    pub interrupted: bool,
    /// From the start of the measured time until no connection was left, if that ended the run.
    pub died_after_seconds: Option<f64>,
    /// Length of the measured time. That of the request, also if no connection was left before its end.
    pub measured_seconds: f64,
    /// From the start of the run until the last connection was open.
    pub opening_seconds: f64,
    /// Valid replies per second in the measured time.
    pub rate: f64,
    /// The requested rate (`--rate`, or the mean of `--stages`).
    pub rate_asked: Option<u64>,
    /// The messages of the requested rate were sent. `None` without a rate.
    pub rate_reached: Option<bool>,
    /// Number of connections that were open at the end of the measured time.
    pub open_at_end: u32,
    /// Largest number of connections that were open at once.
    pub open_peak: u32,
    /// Everything that was counted, by name.
    pub counts: BTreeMap<&'static str, u64>,
    /// Number of wrong replies of all classes.
    pub wrong: u64,
    /// Number of everything that makes the run fail.
    pub errors: u64,
    /// Why connections failed or were lost.
    pub reasons: BTreeMap<String, u64>,
    /// What the server added to a reason when it first occurred.
    pub reason_details: BTreeMap<String, String>,
    /// Latency from the moment a message should have been sent.
    pub corrected: Percentiles,
    /// Latency from the moment it was sent.
    pub raw: Percentiles,
    /// TCP connect.
    pub connect: Percentiles,
    /// TLS handshake.
    pub tls: Percentiles,
    /// WebSocket handshake.
    pub handshake: Percentiles,
    /// All steps of opening a connection, from the moment it was due.
    pub opening: Percentiles,
    /// With `--churn`: from the moment a connection was due to its reply.
    pub cycle: Percentiles,
    /// With `--reconnect`: from the loss of a connection until it was open again.
    pub down: Percentiles,
    /// With `--reconnect`: the time during which no connection was open.
    pub without_service_seconds: Option<f64>,
    /// The longest of these times without interruption.
    pub longest_without_service_seconds: Option<f64>,
    /// How this program performed.
    pub generator: Generator,
    /// The assertions and their results.
    pub asserts: Vec<AssertResult>,
    /// Rate and latency over time.
    pub series: Vec<SeriesPoint>,
    #[serde(skip)]
    pub(crate) total: Recorder,
}

/// How this program performed.
#[derive(Debug, Serialize)]
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
    /// Share of the measured time that its threads worked, from 0 to 1.
    pub busy: f64,
    /// How late it sent messages at a constant rate, without delays that the server caused.
    pub lateness: Percentiles,
    /// CPU seconds in user mode, of the whole process.
    pub cpu_user_seconds: Option<f64>,
    /// CPU seconds in the kernel.
    pub cpu_system_seconds: Option<f64>,
}

/// An assertion and its result.
#[derive(Debug, Serialize)]
pub struct AssertResult {
    /// The assertion as it was given.
    pub expression: String,
    /// `holds`, `fails` or `inconclusive`.
    pub result: &'static str,
    /// The figure it was evaluated with.
    pub seen: String,
}

/// The figures of a stretch of time.
#[derive(Debug, Serialize)]
pub struct SeriesPoint {
    /// Its start, since the start of the measured time.
    pub start_seconds: f64,
    /// Its length.
    pub seconds: f64,
    /// Valid replies per second.
    pub rate: f64,
    /// Median of the corrected latency. Over several seconds, the largest.
    pub p50_us: f64,
    /// 99th percentile, likewise.
    pub p99_us: f64,
    /// Maximum, likewise.
    pub max_us: f64,
    /// Number of errors.
    pub errors: u64,
}

impl Report {
    /// Creates the report of a run.
    pub(crate) fn of_run(info: &RunInfo, outcome: RunOutcome) -> Self {
        let rate_asked = if let Mode::Rate(rate) = info.mode { Some(rate) } else { None };
        let mut report = Self::of_total(
            info.url.clone(),
            info.options.clone(),
            outcome.total,
            outcome.measured,
            rate_asked,
        );
        report.interrupted = outcome.interrupted;
        report.died_after_seconds = outcome.died.map(|died| died.as_secs_f64());
        report.opening_seconds = outcome.opening.as_secs_f64();
        (report.open_at_end, report.open_peak) = (outcome.open_at_end, outcome.peak_open);
        report.series = points(&outcome.series);
        report.without_service_seconds = outcome.without_service.map(|gaps| gaps.total.as_secs_f64());
        report.longest_without_service_seconds =
            outcome.without_service.map(|gaps| gaps.longest.as_secs_f64());
        let counters = &report.total.counters;
        let late = counters.get(Count::SentLate);
        let late = late >= LATE_FEWEST && numbers::share(late, counters.get(Count::Scheduled)) > LATE_SHARE;
        let saturated = outcome.busy >= SATURATED && info.mode != Mode::Hold;
        let below_rate = rate_asked.is_some_and(|rate| report.rate < numbers::u64_to_f64(rate) * REACHED);
        let size = (info.connections, info.depth);
        let limit = rate_asked
            .filter(|_| !saturated)
            .and_then(|_| InFlightLimit::detect(&report.total, size, info.peak_rate, outcome.unloaded));
        report.generator.in_flight_limit = limit;
        report.rate_reached = rate_asked.map(|rate| is_reached(&report.total, rate, outcome.sending));
        report.generator.busy = outcome.busy;
        report.generator.saturated = saturated;
        report.generator.sent_late = rate_asked.is_some() && (late || (saturated && below_rate));
        report.generator.kept_schedule = !report.generator.sent_late && limit.is_none();
        if let Some((user, system)) = host_info::cpu_seconds() {
            report.generator.cpu_user_seconds = Some(user);
            report.generator.cpu_system_seconds = Some(system);
        }
        report
    }

    /// Creates a report of counters and histograms alone.
    pub(crate) fn of_total(
        url: String,
        options: BTreeMap<&'static str, String>,
        total: Recorder,
        measured: Duration,
        rate_asked: Option<u64>,
    ) -> Self {
        let counters = &total.counters;
        let seconds = measured.as_secs_f64();
        let of = |metric| Percentiles::of(total.histogram(metric));
        let rate =
            if seconds > 0.0 { numbers::u64_to_f64(counters.get(Count::InWindow)) / seconds } else { 0.0 };
        Self {
            schema: SCHEMA,
            tool: concat!("ws-load ", env!("CARGO_PKG_VERSION")).to_owned(),
            ended: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            url,
            options,
            machine: HostInfo::detect(),
            interrupted: false,
            died_after_seconds: None,
            measured_seconds: seconds,
            opening_seconds: 0.0,
            rate,
            rate_asked,
            rate_reached: None,
            open_at_end: 0,
            open_peak: 0,
            counts: Count::ALL.iter().map(|count| (count.name(), counters.get(*count))).collect(),
            wrong: counters.wrong(),
            errors: counters.errors(),
            reasons: counters.causes.iter().map(|(reason, cause)| (reason.clone(), cause.number)).collect(),
            reason_details: counters
                .causes
                .iter()
                .filter(|(_, cause)| !cause.detail.is_empty())
                .map(|(reason, cause)| (reason.clone(), cause.detail.trim_start().to_owned()))
                .collect(),
            corrected: of(Metric::Corrected),
            raw: of(Metric::Raw),
            connect: of(Metric::Connect),
            tls: of(Metric::Tls),
            handshake: of(Metric::Handshake),
            opening: of(Metric::Opening),
            cycle: of(Metric::Cycle),
            down: of(Metric::Down),
            without_service_seconds: None,
            longest_without_service_seconds: None,
            generator: Generator {
                kept_schedule: true,
                sent_late: false,
                in_flight_limit: None,
                saturated: false,
                busy: 0.0,
                lateness: of(Metric::Lateness),
                cpu_user_seconds: None,
                cpu_system_seconds: None,
            },
            asserts: Vec::new(),
            series: Vec::new(),
            total,
        }
    }

    /// Evaluates the assertions.
    pub(crate) fn evaluate(&mut self, asserts: &[Assertion]) {
        let figures = AssertInput {
            total: &self.total,
            rate: self.rate,
            open_at_end: self.open_at_end,
            generator_was_late: !self.generator.kept_schedule,
            generator_was_saturated: self.generator.saturated,
        };
        for assertion in asserts {
            let (outcome, seen) = assertion.evaluate(&figures);
            let result = match outcome {
                AssertOutcome::Holds => "holds",
                AssertOutcome::Fails => "fails",
                AssertOutcome::Inconclusive => "inconclusive",
            };
            self.asserts.push(AssertResult { expression: assertion.to_string(), result, seen });
        }
    }

    /// Returns the distributions that are not empty, with their names.
    pub(crate) fn latencies(&self) -> impl Iterator<Item = (&'static str, &Percentiles)> {
        let all = [
            ("corrected", &self.corrected),
            ("raw", &self.raw),
            ("connect", &self.connect),
            ("TLS", &self.tls),
            ("handshake", &self.handshake),
            ("opening", &self.opening),
            ("cycle", &self.cycle),
            ("down", &self.down),
        ];
        all.into_iter().filter(|(_, row)| row.count > 0)
    }

    /// Returns a reason with what the server added to it.
    pub(crate) fn detailed(&self, reason: &str) -> String {
        let detail = self.reason_details.get(reason).map(|detail| format!(" {detail}"));
        format!("{reason}{}", detail.unwrap_or_default())
    }

    pub(crate) fn get(&self, count: Count) -> u64 {
        self.total.counters.get(count)
    }

    /// Returns when and why the run ended before its time, if no connection was left.
    #[must_use]
    pub fn early_end(&self) -> Option<String> {
        let died = self.died_after_seconds?;
        let requested = match self.options.get("duration") {
            Some(_) => format!(" of {:.1} s", self.measured_seconds),
            None => ", before the last message".to_owned(),
        };
        Some(format!("ended after {died:.1} s{requested}: no connection left"))
    }

    /// Returns what was requested and what was sent, if the rate was not reached.
    #[must_use]
    pub fn unreached_rate(&self) -> Option<String> {
        let rate = self.rate_asked.filter(|_| self.rate_reached == Some(false))?;
        let (sent, unsent) = (self.get(Count::Sent), self.get(Count::Unsent));
        let share = text::percent(numbers::share(unsent, sent + unsent));
        let reached = text::grouped(numbers::f64_to_u64(self.rate));
        let rate = text::grouped(rate);
        Some(if unsent > 0 {
            format!(
                "the rate was not reached: {reached} of {rate} messages/s, {share} of the messages were not sent"
            )
        } else {
            format!("the rate was not reached: {reached} of {rate} messages/s, the messages were sent late")
        })
    }

    /// Returns the exit code: 1 after an error, 3 if an assertion does not hold or the rate was not reached,
    /// or 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match () {
            () if self.errors > 0 => 1,
            () if self.asserts.iter().any(|asserted| asserted.result != "holds") => 3,
            () if self.rate_reached == Some(false) => 3,
            () => 0,
        }
    }
}

/// Returns whether the messages of `rate` were sent, and in time. `sending` is the time it took.
fn is_reached(total: &Recorder, rate: u64, sending: Duration) -> bool {
    let [sent, unsent] = [Count::Sent, Count::Unsent].map(|count| total.counters.get(count));
    let rate = numbers::u64_to_f64(rate);
    let due = numbers::u64_to_f64(sent + unsent);
    let allowed = (due * UNREACHED_SHARE).max(rate * UNREACHED_TIME);
    // With a number of messages and no end, all are sent, but over a longer time.
    let in_time = rate * sending.as_secs_f64();
    numbers::u64_to_f64(unsent) <= allowed && in_time - due <= allowed
}

fn points(series: &TimeSeries) -> Vec<SeriesPoint> {
    let of = |point: &TimeSeriesPoint| SeriesPoint {
        start_seconds: point.start.as_secs_f64(),
        seconds: point.span.as_secs_f64(),
        rate: point.rate(),
        p50_us: micros(numbers::nanos(point.p50)),
        p99_us: micros(numbers::nanos(point.p99)),
        max_us: micros(numbers::nanos(point.max)),
        errors: point.errors,
    };
    series.points().iter().map(of).collect()
}
