//! The result of a run, in the form of the JSON. The names are stable: tools may rely on them.

use super::{
    found::Found,
    generator::Generator,
    host_info::{self, HostInfo},
    in_flight_limit::InFlightLimit,
    merged_logs::MergedRun,
    run_info::{self, RunInfo},
    series::{SeriesPoint, points},
    verdict::{RunLoad, Verdict, is_reached},
};
use crate::{
    numbers,
    runner::outcome::RunOutcome,
    stats::{
        assertion::{AssertInput, AssertOutcome, Assertion},
        counters::{Count, faults},
        percentiles::Percentiles,
        recorder::{Metric, Recorder},
    },
    workload::mode::Mode,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// Version of the names in the JSON. It rises when a name changes its meaning or is removed.
const SCHEMA: u32 = 1;
/// Exit code of a run that a signal ended: 128 + SIGINT, as in a shell, for each of the signals.
pub const INTERRUPTED: u8 = 130;
/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

/// The result of a run, or of several that were merged.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of these names.
    pub schema: u32,
    /// Name and version of the program.
    pub tool: String,
    /// Versions of the program and of what it writes.
    pub versions: BTreeMap<&'static str, String>,
    /// The command line. Passwords and tokens in it are replaced.
    pub command: Vec<String>,
    /// When the run started, in UTC.
    pub started: String,
    /// When the run ended, in UTC.
    pub ended: String,
    /// Where the load went.
    pub url: String,
    /// The options that influence the figures, in words.
    pub options: BTreeMap<String, String>,
    /// The host of this program.
    pub machine: HostInfo,
    /// A signal ended the run early.
    pub interrupted: bool,
    /// The condition of `--abort-on` that ended the run early.
    pub aborted: Option<Aborted>,
    /// From the start of the measured time until no connection was left, if that ended the run.
    pub died_after_seconds: Option<f64>,
    /// Length of the measured time. That of the request, also if no connection was left before its end. This
    /// and the next three are `None` if nothing was measured.
    pub measured_seconds: Option<f64>,
    /// From the start of the run until the last connection was open.
    pub opening_seconds: Option<f64>,
    /// Valid replies per second in the measured time.
    pub rate: Option<f64>,
    /// Their payload, in MiB per second.
    pub mib_per_second: Option<f64>,
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
    /// With `--one-way receive`: between two messages on a connection.
    pub gap: Percentiles,
    /// With `--deflate`: the compression of a message, which is not in its latency.
    pub compression: Percentiles,
    /// With `--reconnect`: the time during which no connection was open.
    pub without_service_seconds: Option<f64>,
    /// The longest of these times without interruption.
    pub longest_without_service_seconds: Option<f64>,
    /// With `--fan-out`: the room.
    pub fan_out: Option<FanOutResult>,
    /// With `--find`: the search that led to this run.
    pub found: Option<Found>,
    /// How this program performed.
    pub generator: Generator,
    /// The assertions and their results.
    pub asserts: Vec<AssertResult>,
    /// Rate and latency over time.
    pub series: Vec<SeriesPoint>,
    /// What a reader of the figures has to know, in sentences.
    pub notes: Vec<String>,
    /// The runs that were merged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<MergedRun>,
    /// Number of errors that no assertion and no `--abort-on` names.
    #[serde(skip)]
    pub(crate) errors_not_named: u64,
    #[serde(skip)]
    pub(crate) total: Recorder,
}

/// The room of `--fan-out`.
#[derive(Debug, Serialize)]
pub struct FanOutResult {
    /// Number of connections that sent.
    pub senders: u32,
    /// The members that received all messages received them in the same order. `None` without such a member.
    pub same_order: Option<bool>,
}

/// A condition that ended the run early.
#[derive(Debug, Serialize)]
pub struct Aborted {
    /// The condition as it was given.
    pub expression: String,
    /// The figure that it was true for.
    pub seen: String,
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

impl Report {
    /// Creates the report of a run.
    pub(crate) fn of_run(info: &RunInfo, outcome: RunOutcome) -> Self {
        let rate_asked = info.rate_asked();
        let mut report =
            Self::of_total(info.url.clone(), info.machine.clone(), outcome.total, outcome.measured);
        report.rate_asked = rate_asked;
        report.options =
            info.options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        report.interrupted = outcome.interrupted;
        report.aborted = outcome
            .aborted
            .map(|condition| Aborted { expression: condition.expression, seen: condition.seen });
        report.died_after_seconds = outcome.died.map(|died| died.as_secs_f64());
        report.without_service_seconds = outcome.without_service.map(|gaps| gaps.total.as_secs_f64());
        report.longest_without_service_seconds =
            outcome.without_service.map(|gaps| gaps.longest.as_secs_f64());
        report.started.clone_from(&info.started);
        report.opening_seconds = Some(outcome.opening.as_secs_f64()).filter(|seconds| *seconds > 0.0);
        if info.mode == Mode::Hold {
            (report.rate, report.mib_per_second) = (None, None);
        }
        (report.open_at_end, report.open_peak) = (outcome.open_at_end, outcome.peak_open);
        report.series = points(&outcome.series);
        report.fan_out = outcome
            .fan_out
            .map(|room| FanOutResult { senders: room.senders, same_order: room.is_same_order });
        let load = RunLoad {
            rate: report.message_rate().unwrap_or_default(),
            rate_asked,
            busy: outcome.busy,
            waited: outcome.waited,
            is_hold: info.mode == Mode::Hold,
        };
        let verdict = Verdict::of(&report.total, &load);
        let size = (info.connections, info.depth);
        let limit = rate_asked
            .filter(|_| !verdict.saturated)
            .and_then(|_| InFlightLimit::detect(&report.total, size, info.peak_rate, outcome.unloaded));
        report.rate_reached = rate_asked.map(|rate| is_reached(&report.total, rate, outcome.sending));
        report.generator.set_verdict(verdict, limit);
        (report.generator.busy, report.generator.waited) = (outcome.busy, outcome.waited);
        if let Some((user, system)) = host_info::cpu_seconds() {
            report.generator.cpu_user_seconds = Some(user);
            report.generator.cpu_system_seconds = Some(system);
        }
        report
    }

    /// Returns name and version of this program.
    pub(crate) fn tool() -> String {
        concat!("ws-load ", env!("CARGO_PKG_VERSION")).to_owned()
    }

    /// Creates a report of counters and histograms alone.
    pub(super) fn of_total(url: String, machine: HostInfo, total: Recorder, measured: Duration) -> Self {
        let counters = &total.counters;
        let seconds = measured.as_secs_f64();
        let of = |metric| Percentiles::of(total.histogram(metric));
        let rate = numbers::quotient(numbers::u64_to_f64(counters.get(Count::InWindow)), seconds);
        Self {
            schema: SCHEMA,
            tool: Self::tool(),
            versions: run_info::versions(),
            command: run_info::command_line(),
            started: String::new(),
            ended: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            url,
            options: BTreeMap::new(),
            machine,
            interrupted: false,
            aborted: None,
            died_after_seconds: None,
            measured_seconds: Some(seconds).filter(|seconds| *seconds > 0.0),
            opening_seconds: None,
            rate,
            mib_per_second: mib_per_second(rate, &total),
            rate_asked: None,
            rate_reached: None,
            open_at_end: 0,
            open_peak: 0,
            counts: Count::ALL.iter().map(|count| (count.name(), counters.get(*count))).collect(),
            wrong: counters.wrong(),
            errors: counters.errors(),
            errors_not_named: counters.errors(),
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
            gap: of(Metric::Gap),
            compression: of(Metric::Compression),
            fan_out: None,
            found: None,
            without_service_seconds: None,
            longest_without_service_seconds: None,
            generator: Generator::of(&total),
            asserts: Vec::new(),
            series: Vec::new(),
            notes: Vec::new(),
            runs: Vec::new(),
            total,
        }
    }

    /// Evaluates the assertions. Errors that neither they nor `abort_on` name make the run fail.
    pub(crate) fn evaluate(&mut self, asserts: &[Assertion], abort_on: &[Assertion]) {
        let named: Vec<Count> = asserts.iter().chain(abort_on).flat_map(Assertion::faults).collect();
        let not_named = faults().filter(|(count, _)| !named.contains(count));
        self.errors_not_named = not_named.map(|(count, _)| self.get(count)).sum();
        let figures = AssertInput {
            total: &self.total,
            rate: self.rate,
            open: Some(self.open_at_end),
            doubt: self.generator.doubt(&self.total),
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
            ("gap", &self.gap),
            ("compress", &self.compression),
        ];
        all.into_iter().filter(|(_, row)| row.count > 0)
    }

    /// Returns the messages per second that were sent and answered. In a room each message is delivered
    /// several times.
    pub(crate) fn message_rate(&self) -> Option<f64> {
        let [sent, expected] =
            [Count::Sent, Count::Expected].map(|count| numbers::u64_to_f64(self.get(count)));
        Some(self.rate? * numbers::quotient(sent, expected).unwrap_or(1.0))
    }

    /// Returns the name of a fault as it is in this run.
    pub(crate) fn fault_name(&self, name: &str) -> String {
        if self.is_fan_out() { name.replace("replies", "deliveries") } else { name.to_owned() }
    }

    /// Returns whether messages were sent to a room.
    pub(crate) fn is_fan_out(&self) -> bool {
        self.fan_out.is_some() || self.get(Count::Expected) > 0
    }

    /// Returns the histogram that the charts show, and its name: the latency, or the gap between messages if
    /// nothing was sent.
    pub(crate) fn main_histogram(&self) -> (&'static str, Metric) {
        if self.gap.count > 0 { ("gap", Metric::Gap) } else { ("corrected latency", Metric::Corrected) }
    }

    /// Returns a reason with what the server added to it.
    pub(crate) fn detailed(&self, reason: &str) -> String {
        let detail = self.reason_details.get(reason).map(|detail| format!(" {detail}"));
        format!("{reason}{}", detail.unwrap_or_default())
    }

    pub(crate) fn get(&self, count: Count) -> u64 {
        self.total.counters.get(count)
    }

    /// Returns the exit code: [`INTERRUPTED`] if a signal ended the run, 1 after an error that no assertion
    /// names, 3 if an assertion does not hold, `--abort-on` ended the run or the rate was not reached, or 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match () {
            // A merge was not interrupted, only one of its runs.
            () if self.interrupted && self.runs.is_empty() => INTERRUPTED,
            () if self.errors_not_named > 0 => 1,
            () if self.aborted.is_some() => 3,
            () if self.asserts.iter().any(|asserted| asserted.result != "holds") => 3,
            () if self.rate_reached == Some(false) => 3,
            () if self.found.as_ref().is_some_and(|found| !found.is_certain()) => 3,
            () => 0,
        }
    }
}

/// Returns the payload of the valid replies in MiB per second, from their rate and their mean size. Without
/// replies, that of the messages.
pub(super) fn mib_per_second(rate: Option<f64>, total: &Recorder) -> Option<f64> {
    let mean = |counts: [Count; 2]| {
        let [bytes, number] = counts.map(|count| numbers::u64_to_f64(total.counters.get(count)));
        numbers::quotient(bytes, number)
    };
    let mean = mean([Count::ReplyBytes, Count::Replies]).or_else(|| mean([Count::SentBytes, Count::Sent]));
    Some(rate? * mean? / MIB)
}
