//! The two commands of `ws-load`: a run, and the merge of interval logs.

use crate::{
    error::LoadError,
    output::{
        hdr_log::{HdrLogFile, MergedLogs},
        html,
        progress::Progress,
        report::Report,
        run_info::RunInfo,
    },
    runner::{coordinator, redirects},
    workload::{cli::OutputArgs, plan::Plan},
};
use crossbeam_channel::Receiver;
use std::{collections::BTreeMap, fs, io, path::PathBuf};

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
    plan.raise_limit()?;
    let output = plan.output.clone();
    check_writable(&output)?;
    let plan = redirects::follow(plan, stop)?;
    let info = RunInfo::from_plan(&plan);
    let mut log_file = output.hdr_log.as_deref().map(HdrLogFile::create).transpose()?;
    let log = log_file.as_mut().map(|file| file.begin(&info.url)).transpose()?;
    let mut progress = Progress::new(&plan, log);
    let outcome = coordinator::run(plan, stop, &mut progress);
    let log = progress.finish();
    let outcome = outcome?;
    let logged =
        log.and_then(|log| log.map_or(Ok(()), |log| log.write_totals(&outcome.total, outcome.measured)));
    let logged = logged.and(log_file.map_or(Ok(()), HdrLogFile::finish));
    let mut report = Report::of_run(&info, outcome);
    report.evaluate(&output.asserts);
    let unwritten = logged.and(write(&report, &output)).err();
    Ok(Completed { report, unwritten })
}

/// Joins interval logs into one report, and writes the files that `output` names.
///
/// # Errors
///
/// Returns an error if a log cannot be read or `output` names an interval log.
pub fn merge(logs: &[PathBuf], output: &OutputArgs) -> Result<Completed, LoadError> {
    if output.hdr_log.is_some() {
        return Err(LoadError::Usage("merge writes no interval log: remove --hdr-log".into()));
    }
    let mut merged = MergedLogs::new();
    for path in logs {
        merged.read(path)?;
    }
    let names: Vec<String> = logs.iter().map(|path| path.display().to_string()).collect();
    let options = BTreeMap::from([("logs", names.len().to_string())]);
    let mut report = Report::of_total(names.join(", "), options, merged.total, merged.measured, None);
    report.evaluate(&output.asserts);
    let unwritten = write(&report, output).err();
    Ok(Completed { report, unwritten })
}

/// Opens the files that will be written, so that a wrong path is an error before the run.
fn check_writable(output: &OutputArgs) -> Result<(), LoadError> {
    for path in [&output.json, &output.report].into_iter().flatten() {
        let is_new = !path.exists();
        let opened = fs::OpenOptions::new().create(true).append(true).open(path);
        opened.map_err(|error| LoadError::file(path, error))?;
        if is_new {
            // A run that fails must not leave an empty file.
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

/// Writes all files. Returns the first error after the last file.
fn write(report: &Report, output: &OutputArgs) -> Result<(), LoadError> {
    let put = |path: &PathBuf, text: io::Result<String>| {
        text.and_then(|text| fs::write(path, text)).map_err(|error| LoadError::file(path, error))
    };
    let json = || serde_json::to_string_pretty(report).map(|json| json + "\n").map_err(io::Error::from);
    let json = output.json.as_ref().map_or(Ok(()), |path| put(path, json()));
    let page = output.report.as_ref().map_or(Ok(()), |path| put(path, Ok(html::page(report))));
    json.and(page)
}
