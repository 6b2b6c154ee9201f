//! A load generator for WebSocket echo endpoints, behind `ws-load`.
//!
//! ```text
//! conductor: starts the threads, sets the timeline when all connections are settled, gathers the figures
//!     │ timeline, stop                ▲ one interval a second, bounded channel
//!     ▼                               │
//! driver, --threads of them: one event loop each over thousands of connections
//!     opener ── when to connect       schedule ── when each message is due
//!     connection ── SYN, TLS, upgrade, talk, close, as readiness drives it
//!         traffic ── sends what is due; the ledger judges what comes back
//! ```
//!
//! Nothing is shared while messages flow, and nothing grows with the run: latencies go into histograms, a backlog is
//! arithmetic on sequence numbers, and a message can be made again from its number when its reply has to be judged.
//!
//! | to learn | open |
//! |---|---|
//! | what can be asked for | [`cli`](Cli), [`plan`](Plan) |
//! | the event loop and the stages of a run | `driver/`, `conductor` |
//! | one connection from SYN to the end | `connection`, `wire`, `failure` |
//! | why a latency is *corrected* | `schedule`, `traffic` |
//! | what makes a reply wrong | `ledger`, `payload` |
//! | how it knows that it is the bottleneck | `traffic` (lateness), `report` |
//! | what is written | `summary`, `report`, `hdrlog`, `html`, `svg`, `assertion` |

mod alarm;
mod assertion;
mod channel;
mod cli;
mod conductor;
mod connection;
mod context;
mod deflate;
mod driver;
mod error;
mod facts;
mod failure;
mod gather;
mod hdrlog;
mod html;
mod interval;
mod ledger;
mod machine;
mod numbers;
mod observer;
mod opener;
mod outgoing;
mod payload;
mod percentiles;
mod plain;
mod plan;
mod report;
mod schedule;
mod series;
mod sizes;
mod stats;
mod summary;
mod svg;
mod text;
mod tls;
mod traffic;
mod wire;

pub use assertion::{Assertion, Judgement};
pub use cli::{Cli, Command, ConnectArgs, LoadArgs, MessageArgs, OutputArgs};
pub use error::LoadError;
pub use machine::Machine;
pub use payload::Kind;
pub use percentiles::Percentiles;
pub use plan::{Mode, Plan};
pub use report::{Asserted, Generator, Report, SeriesPoint};
pub use sizes::{MAX_SIZE, Sizes};
pub use summary::Summary;

use crossbeam_channel::Receiver;
use std::{collections::BTreeMap, fs, io, path::PathBuf};

/// A report, and what became of its files: a full disk at the end of a long run is no reason to lose the figures.
#[derive(Debug)]
pub struct Done {
    /// The figures.
    pub report: Report,
    /// The first file that could not be written, if any could not.
    pub unwritten: Option<LoadError>,
}

/// Runs `plan` to its end, or until `stop` receives a message, and writes the files that it names.
///
/// # Errors
///
/// Returns an error if the run cannot start or cannot finish. A file that cannot be written after the run is reported
/// in [`Done::unwritten`] instead.
pub fn run(plan: Plan, stop: &Receiver<()>) -> Result<Done, LoadError> {
    plan.raise_limit()?;
    let output = plan.output.clone();
    try_files(&output)?;
    let facts = facts::Facts::of(&plan);
    let mut sink = output.hdr_log.as_deref().map(hdrlog::Sink::create).transpose()?;
    let log = sink.as_mut().map(|sink| sink.begin(&facts.url)).transpose()?;
    let mut observer = observer::Observer::new(&plan, log);
    let outcome = conductor::run(plan, stop, &mut observer);
    let log = observer.finish();
    let outcome = outcome?;
    let logged = log.and_then(|log| log.map_or(Ok(()), |log| log.totals(&outcome.total, outcome.measured)));
    let logged = logged.and(sink.map_or(Ok(()), hdrlog::Sink::finish));
    let mut report = Report::of_run(&facts, outcome);
    report.judge(&output.asserts);
    let unwritten = logged.and(write(&report, &output)).err();
    Ok(Done { report, unwritten })
}

/// Joins interval logs into one report, and writes the files that `output` names.
///
/// # Errors
///
/// Returns an error if a log cannot be read or `output` names an interval log.
pub fn merge(logs: &[PathBuf], output: &OutputArgs) -> Result<Done, LoadError> {
    if output.hdr_log.is_some() {
        return Err(LoadError::Usage(
            "merge reads interval logs and writes none: leave out --hdr-log".into(),
        ));
    }
    let mut merged = hdrlog::Merged::new();
    for path in logs {
        merged.read(path)?;
    }
    let names: Vec<String> = logs.iter().map(|path| path.display().to_string()).collect();
    let options = BTreeMap::from([("logs", names.len().to_string())]);
    let mut report = Report::of_total(names.join(", "), options, merged.total, merged.measured, None);
    report.judge(&output.asserts);
    let unwritten = write(&report, output).err();
    Ok(Done { report, unwritten })
}

/// Opens the files that will be written, so that a wrong path shows before the run and not behind it.
fn try_files(output: &OutputArgs) -> Result<(), LoadError> {
    for path in [&output.json, &output.report].into_iter().flatten() {
        let is_new = !path.exists();
        let opened = fs::OpenOptions::new().create(true).append(true).open(path);
        opened.map_err(|error| LoadError::file(path, error))?;
        if is_new {
            // A run that comes to nothing leaves nothing.
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

/// Writes the files that were asked for; one that cannot be written keeps no other from being.
fn write(report: &Report, output: &OutputArgs) -> Result<(), LoadError> {
    let put = |path: &PathBuf, text: io::Result<String>| {
        text.and_then(|text| fs::write(path, text)).map_err(|error| LoadError::file(path, error))
    };
    let json = || serde_json::to_string_pretty(report).map(|json| json + "\n").map_err(io::Error::from);
    let json = output.json.as_ref().map_or(Ok(()), |path| put(path, json()));
    let page = output.report.as_ref().map_or(Ok(()), |path| put(path, Ok(html::page(report))));
    json.and(page)
}
