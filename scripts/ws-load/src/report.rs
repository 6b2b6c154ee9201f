//! The result of a run, as it is written to JSON. The names are stable: tools may rely on them.

use super::{
    assertion::{Assertion, Judgement},
    conductor::Outcome,
    facts::Facts,
    machine::{self, Machine},
    numbers,
    percentiles::{Percentiles, micros},
    plan::Mode,
    series::Series,
    stats::{Count, Metric, Recorder},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// The version of the JSON's names; it rises when one of them changes its meaning or goes.
const SCHEMA: u32 = 1;
/// The generator did not keep its schedule when more than this share of its sends left late by its own fault.
const LATE_SHARE: f64 = 0.01;
/// Fewer late sends than these are the machine's noise.
const LATE_FEWEST: u64 = 10;
/// A thread that works this share of its time or more is at its limit.
const SATURATED: f64 = 0.95;
/// A rate below this share of the one asked for was not reached.
const REACHED: f64 = 0.99;

/// What assertions are judged by.
#[derive(Debug)]
pub(super) struct Results<'a> {
    pub(super) total: &'a Recorder,
    pub(super) rate: f64,
    pub(super) open_at_end: u32,
    pub(super) generator_was_late: bool,
    pub(super) generator_was_saturated: bool,
}

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
    /// The options that shaped the run, in words.
    pub options: BTreeMap<&'static str, String>,
    /// The generator's machine.
    pub machine: Machine,
    /// The user ended the run early.
    pub interrupted: bool,
    /// How long was measured.
    pub measured_seconds: f64,
    /// How long it took until the last connection was open.
    pub opening_seconds: f64,
    /// Right replies a second within the measured time.
    pub rate: f64,
    /// The rate that was asked for.
    pub rate_asked: Option<u64>,
    /// Connections open at the end of the measured time.
    pub open_at_end: u32,
    /// The most connections open at once.
    pub open_peak: u32,
    /// Everything that was counted, by name.
    pub counts: BTreeMap<&'static str, u64>,
    /// Wrong replies of all sorts.
    pub wrong: u64,
    /// Everything that makes the run fail.
    pub errors: u64,
    /// Why connections failed or were lost.
    pub reasons: BTreeMap<String, u64>,
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
    /// With `--churn`: connection due to reply read.
    pub cycle: Percentiles,
    /// How the generator itself fared.
    pub generator: Generator,
    /// What had to hold.
    pub asserts: Vec<Asserted>,
    /// Rate and latency over time.
    pub series: Vec<SeriesPoint>,
    #[serde(skip)]
    pub(super) total: Recorder,
}

/// How the generator itself fared.
#[derive(Debug, Serialize)]
pub struct Generator {
    /// It sent on time, as far as that was up to it.
    pub kept_schedule: bool,
    /// Its threads were at their limit.
    pub saturated: bool,
    /// How much of the measured time its threads were at work.
    pub busy: f64,
    /// How late its sends were by its own fault, in constant-rate runs.
    pub lateness: Percentiles,
    /// CPU seconds in user mode, of the whole process.
    pub cpu_user_seconds: Option<f64>,
    /// CPU seconds in the kernel.
    pub cpu_system_seconds: Option<f64>,
}

/// An assertion and what became of it.
#[derive(Debug, Serialize)]
pub struct Asserted {
    /// As it was given.
    pub expression: String,
    /// `holds`, `fails` or `inconclusive`.
    pub result: &'static str,
    /// The value it was judged by.
    pub seen: String,
}

/// One stretch of time.
#[derive(Debug, Serialize)]
pub struct SeriesPoint {
    /// Where it starts, from the start of the measured time.
    pub start_seconds: f64,
    /// How long it is.
    pub seconds: f64,
    /// Right replies a second.
    pub rate: f64,
    /// Corrected latency; over several seconds, the worst of them.
    pub p50_us: f64,
    /// Likewise.
    pub p99_us: f64,
    /// Likewise.
    pub max_us: f64,
    /// Errors of all sorts.
    pub errors: u64,
}

impl Report {
    /// The report of a run.
    pub(super) fn of_run(plan: &Facts, outcome: Outcome) -> Self {
        let rate_asked = if let Mode::Rate(rate) = plan.mode { Some(rate) } else { None };
        let mut report = Self::of_total(
            plan.url.clone(),
            plan.options.clone(),
            outcome.total,
            outcome.measured,
            rate_asked,
        );
        report.interrupted = outcome.interrupted;
        report.opening_seconds = outcome.opening.as_secs_f64();
        (report.open_at_end, report.open_peak) = (outcome.open_at_end, outcome.peak_open);
        report.series = points(&outcome.series);
        let counters = &report.total.counters;
        let late = counters.get(Count::SentLate);
        let late = late >= LATE_FEWEST && numbers::share(late, counters.get(Count::Scheduled)) > LATE_SHARE;
        let saturated = outcome.busy >= SATURATED && plan.mode != Mode::Hold;
        let short = rate_asked.is_some_and(|asked| report.rate < numbers::float(asked) * REACHED);
        report.generator.busy = outcome.busy;
        report.generator.saturated = saturated;
        report.generator.kept_schedule = !(rate_asked.is_some() && (late || (saturated && short)));
        if let Some((user, system)) = machine::cpu_seconds() {
            report.generator.cpu_user_seconds = Some(user);
            report.generator.cpu_system_seconds = Some(system);
        }
        report
    }

    /// The report of bare figures.
    pub(super) fn of_total(
        url: String,
        options: BTreeMap<&'static str, String>,
        total: Recorder,
        measured: Duration,
        rate_asked: Option<u64>,
    ) -> Self {
        let counters = &total.counters;
        let seconds = measured.as_secs_f64();
        let of = |metric| Percentiles::of(total.histogram(metric));
        let rate = if seconds > 0.0 { numbers::float(counters.get(Count::InWindow)) / seconds } else { 0.0 };
        Self {
            schema: SCHEMA,
            tool: concat!("ws-load ", env!("CARGO_PKG_VERSION")).to_owned(),
            ended: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            url,
            options,
            machine: Machine::here(),
            interrupted: false,
            measured_seconds: seconds,
            opening_seconds: 0.0,
            rate,
            rate_asked,
            open_at_end: 0,
            open_peak: 0,
            counts: Count::ALL.iter().map(|count| (count.name(), counters.get(*count))).collect(),
            wrong: counters.wrong(),
            errors: counters.errors(),
            reasons: counters.reasons.iter().map(|(reason, blame)| (reason.clone(), blame.number)).collect(),
            corrected: of(Metric::Corrected),
            raw: of(Metric::Raw),
            connect: of(Metric::Connect),
            tls: of(Metric::Tls),
            handshake: of(Metric::Handshake),
            opening: of(Metric::Opening),
            cycle: of(Metric::Cycle),
            generator: Generator {
                kept_schedule: true,
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

    /// Judges what had to hold.
    pub(super) fn judge(&mut self, asserts: &[Assertion]) {
        let results = Results {
            total: &self.total,
            rate: self.rate,
            open_at_end: self.open_at_end,
            generator_was_late: !self.generator.kept_schedule,
            generator_was_saturated: self.generator.saturated,
        };
        for assertion in asserts {
            let (judgement, seen) = assertion.judge(&results);
            let result = match judgement {
                Judgement::Holds => "holds",
                Judgement::Fails => "fails",
                Judgement::Inconclusive => "inconclusive",
            };
            self.asserts.push(Asserted { expression: assertion.to_string(), result, seen });
        }
    }

    /// The distributions that hold something, each with its name.
    pub(super) fn latencies(&self) -> impl Iterator<Item = (&'static str, &Percentiles)> {
        let all = [
            ("corrected", &self.corrected),
            ("raw", &self.raw),
            ("connect", &self.connect),
            ("TLS", &self.tls),
            ("handshake", &self.handshake),
            ("opening", &self.opening),
            ("cycle", &self.cycle),
        ];
        all.into_iter().filter(|(_, row)| row.count > 0)
    }

    /// The number for `count`.
    pub(super) fn get(&self, count: Count) -> u64 {
        self.total.counters.get(count)
    }

    /// What the process should end with: see [`super::Cli`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match () {
            () if self.errors > 0 => 1,
            () if self.asserts.iter().any(|asserted| asserted.result != "holds") => 3,
            () => 0,
        }
    }
}

fn points(series: &Series) -> Vec<SeriesPoint> {
    let of = |point: &super::series::Point| SeriesPoint {
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
