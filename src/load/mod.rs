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
use std::{collections::BTreeMap, fs, path::PathBuf};

/// Runs `plan` to its end, or until `stop` has something to say, and writes the files it asks for.
pub fn run(plan: Plan, stop: &Receiver<()>) -> Result<Report, LoadError> {
    plan.raise_limit()?;
    let output = plan.output.clone();
    let facts = facts::Facts::of(&plan);
    let mut sink = output.hdr_log.as_deref().map(hdrlog::Sink::create).transpose()?;
    let log = sink.as_mut().map(|sink| sink.begin(&facts.url)).transpose()?;
    let mut observer = observer::Observer::new(&plan, log);
    let outcome = conductor::run(plan, stop, &mut observer);
    let log = observer.finish();
    let outcome = outcome?;
    if let Some(log) = log {
        log.totals(&outcome.total, outcome.measured)?;
    }
    if let Some(sink) = sink {
        sink.finish()?;
    }
    let mut report = Report::of_run(&facts, outcome);
    report.judge(&output.asserts);
    write(&report, &output)?;
    Ok(report)
}

/// Joins interval logs into one report, and writes the files that `output` asks for.
pub fn merge(logs: &[PathBuf], output: &OutputArgs) -> Result<Report, LoadError> {
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
    write(&report, output)?;
    Ok(report)
}

fn write(report: &Report, output: &OutputArgs) -> Result<(), LoadError> {
    if let Some(path) = &output.json {
        let json =
            serde_json::to_string_pretty(report).map_err(|error| LoadError::file(path, error.into()))?;
        fs::write(path, json + "\n").map_err(|error| LoadError::file(path, error))?;
    }
    if let Some(path) = &output.report {
        fs::write(path, html::page(report)).map_err(|error| LoadError::file(path, error))?;
    }
    Ok(())
}
