//! The commands of `ws-load`: a run, the merge of interval logs, the comparison of two runs, completions and
//! the manual page.

use crate::{
    error::LoadError,
    output::{
        comparison::Comparison, csv, exposition::LiveFigures, hdr_log::HdrLog, html, junit,
        merged_logs::MergedLogs, metrics_listener::MetricsListener, progress::Progress, report::Report,
        run_info::RunInfo,
    },
    runner::{coordinator, redirects},
    workload::{
        cli::{Cli, OutputArgs},
        output_files::is_standard_output,
        plan::Plan,
    },
};
use clap::CommandFactory;
use clap_complete::Shell;
use crossbeam_channel::Receiver;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The name of the program in a completion script.
const PROGRAM: &str = "ws-load";

/// A report, and whether its files were written. A full disk at the end of a long run must not lose the
/// figures.
#[derive(Debug)]
pub struct Completed {
    /// The figures.
    pub report: Report,
    /// The first file that could not be written.
    pub unwritten: Option<LoadError>,
}

/// Runs `plan` to its end, or until `stop` receives a message, and writes the files that it names.
///
/// # Errors
///
/// Returns an error if the run cannot start or cannot finish. A file that cannot be written after the run is
/// reported in [`Completed::unwritten`] instead.
pub fn run(plan: Plan, stop: &Receiver<()>) -> Result<Completed, LoadError> {
    let output = plan.output.clone();
    let (report, logged) = measure_and_log(plan, stop)?;
    let mut completed = complete(report, &output);
    completed.unwritten = logged.err().or(completed.unwritten);
    Ok(completed)
}

/// Runs `plan` like [`run`], and writes no results.
pub(crate) fn measure(plan: Plan, stop: &Receiver<()>) -> Result<Report, LoadError> {
    let (report, logged) = measure_and_log(plan, stop)?;
    logged.map(|()| report)
}

/// Runs `plan`. The second value is the result of writing the interval log.
fn measure_and_log(plan: Plan, stop: &Receiver<()>) -> Result<(Report, Result<(), LoadError>), LoadError> {
    plan.raise_limit()?;
    let output = plan.output.clone();
    output.check_writable()?;
    let plan = redirects::follow(plan, stop)?;
    let info = RunInfo::from_plan(&plan);
    let abort_on = plan.abort_on.clone();
    let log = output.hdr_log.as_deref().map(|path| HdrLog::new(path, &info));
    let metrics = listen(&plan, &info)?;
    let mut progress = Progress::new(&plan, log, metrics);
    let outcome = coordinator::run(plan, stop, &mut progress);
    let log = progress.finish();
    let mut report = Report::of_run(&info, outcome?);
    report.evaluate(&output.asserts, &abort_on);
    let logged = log.and_then(|log| log.map_or(Ok(()), |log| log.write_totals(&report)));
    Ok((report, logged))
}

/// Listens for requests for metrics, if the plan wants it, and says where.
fn listen(plan: &Plan, info: &RunInfo) -> Result<Option<MetricsListener>, LoadError> {
    let Some(address) = plan.output.metrics_listen else { return Ok(None) };
    let listener = MetricsListener::start(address, LiveFigures::new(info.url.clone(), info.rate_asked()))?;
    if !plan.output.quiet {
        eprintln!("ws-load: metrics on {}", listener.url());
    }
    Ok(Some(listener))
}

/// Writes the results.
pub(crate) fn complete(report: Report, output: &OutputArgs) -> Completed {
    let unwritten = write(&report, output).err();
    Completed { report, unwritten }
}

/// Joins interval logs into one report, and writes the files that `output` names.
///
/// # Errors
///
/// Returns an error if a log cannot be read, is not complete or belongs to the same run as another one, if
/// the runs were not measured at the same time, or if `output` names an interval log.
pub fn merge(logs: &[PathBuf], output: &OutputArgs) -> Result<Completed, LoadError> {
    if output.hdr_log.is_some() {
        return Err(LoadError::Usage("merge writes no interval log: remove --hdr-log".into()));
    }
    if output.metrics_listen.is_some() {
        return Err(LoadError::Usage(
            "merge loads nothing that could be watched: remove --metrics-listen".into(),
        ));
    }
    let inputs: Vec<_> = logs.iter().map(|log| ("the log", log.as_path())).collect();
    output.check_names(&inputs)?;
    let mut report = Report::of_logs(MergedLogs::read(logs)?);
    report.evaluate(&output.asserts, &[]);
    Ok(complete(report, output))
}

/// Compares the JSON files of two runs.
///
/// # Errors
///
/// Returns an error if a file cannot be read or is not the JSON of a run.
pub fn compare(before: &Path, after: &Path) -> Result<Comparison, LoadError> {
    Comparison::read([before, after])
}

/// Returns a script that completes the options of this program in `shell`.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    script
}

/// Returns the manual page, in roff.
///
/// # Errors
///
/// Returns an error if the page cannot be formatted.
pub fn man() -> Result<Vec<u8>, LoadError> {
    let mut page = Vec::new();
    let made = clap_mangen::Man::new(Cli::command()).render(&mut page);
    made.map_err(LoadError::system("make the manual page"))?;
    Ok(page)
}

/// Writes all files. Returns the first error after the last file.
fn write(report: &Report, output: &OutputArgs) -> Result<(), LoadError> {
    let json = || serde_json::to_string_pretty(report).map(|json| json + "\n").map_err(io::Error::from);
    let put = |option: &'static str, path: &Path, text: io::Result<String>| {
        let written = text.and_then(|text| {
            if is_standard_output(path) {
                io::stdout().write_all(text.as_bytes())
            } else {
                fs::write(path, text)
            }
        });
        written.map_err(|error| LoadError::named(option, path, error))
    };
    let mut result = Ok(());
    for (option, path) in output.files() {
        let written = match option {
            "--json" => put(option, path, json()),
            "--report" => put(option, path, Ok(html::page(report))),
            "--csv" => put(option, path, Ok(csv::table(report))),
            "--junit" => put(option, path, Ok(junit::suite(report))),
            // The interval log is written while the run goes on.
            _ => Ok(()),
        };
        result = result.and(written);
    }
    result
}
