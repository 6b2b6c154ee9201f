//! `ws-load`: a load generator for WebSocket echo endpoints. The library does the work.

mod signals;

use clap::Parser;
use std::{
    env,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};
use ws_load::{Cli, Command, Completed, LoadArgs, LoadError, OutputArgs, Plan, Report, TextSummary};

/// Exit code for invalid options, the same as that of clap.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let Cli { command, load } = Cli::parse();
    let result = match command {
        None => run(load),
        Some(Command::Merge { logs, output }) => {
            ws_load::merge(&logs, &output).map(|completed| finish(&completed, &output))
        }
        Some(Command::Compare { before, after }) => {
            ws_load::compare(&before, &after).map(|comparison| print(comparison.to_string().as_bytes()))
        }
        Some(Command::Completions { shell }) => Ok(print(&ws_load::completions(shell))),
        Some(Command::Man) => ws_load::man().map(|page| print(&page)),
    };
    result.unwrap_or_else(|error| fail(&error))
}

/// Runs the load, and returns its exit code.
fn run(load: LoadArgs) -> Result<ExitCode, LoadError> {
    let output = load.output.clone();
    let is_search = !load.find.is_empty();
    let plan = if is_search { Err(load) } else { Ok(Plan::new(load)?) };
    let stop =
        signals::stop_on_signal().map_err(|source| LoadError::System { action: "handle signals", source })?;
    let completed = match plan {
        Ok(plan) => ws_load::run(plan, &stop),
        Err(load) => ws_load::find(&load, &stop),
    };
    completed.map(|completed| finish(&completed, &output))
}

/// Prints the results, and returns their exit code.
fn finish(completed: &Completed, output: &OutputArgs) -> ExitCode {
    let Completed { report, unwritten } = completed;
    show(report, output);
    if let Some(condition) = &report.aborted {
        eprintln!("ws-load: ended early: {} ({})", condition.expression, condition.seen);
    }
    if let Some(found) = report.found.as_ref().filter(|_| output.quiet) {
        eprintln!("ws-load: {}", found.words());
    }
    for assert in report.asserts.iter().filter(|assert| assert.result != "holds") {
        eprintln!("ws-load: assert {}: {} ({})", assert.expression, assert.result, assert.seen);
    }
    for problem in report.early_end().into_iter().chain(report.unreached_rate()) {
        eprintln!("ws-load: {problem}");
    }
    match unwritten {
        Some(error) => fail(error),
        None => ExitCode::from(report.exit_code()),
    }
}

/// Prints the summary. A closed standard output is no error.
fn show(report: &Report, output: &OutputArgs) {
    if output.quiet {
        return;
    }
    let summary = |is_terminal| TextSummary { report, is_terminal, histogram: output.histogram }.to_string();
    let _ = if output.uses_standard_output() {
        io::stderr().write_all(summary(has_colours(&io::stderr())).as_bytes())
    } else {
        io::stdout().write_all(summary(has_colours(&io::stdout())).as_bytes())
    };
}

/// Prints text on standard output. A closed standard output is no error.
fn print(text: &[u8]) -> ExitCode {
    let _ = io::stdout().write_all(text);
    ExitCode::SUCCESS
}

/// Returns whether a stream is a terminal that shows colours. `NO_COLOR` turns them off (no-color.org).
fn has_colours(stream: &impl IsTerminal) -> bool {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|name| name != "dumb")
}

/// Prints an error, and returns its exit code.
fn fail(error: &LoadError) -> ExitCode {
    eprintln!("ws-load: {error}");
    ExitCode::from(if error.is_usage() { USAGE } else { 1 })
}
