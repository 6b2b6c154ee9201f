//! `ws-load`: a load generator for WebSocket echo endpoints. The library does the work.

use clap::Parser;
use crossbeam_channel::{Receiver, bounded};
use std::{
    io::{self, Write},
    process::{self, ExitCode},
    sync::atomic::{AtomicBool, Ordering},
};
use ws_load::{Cli, Command, Completed, LoadError, Plan, TextSummary};

/// Exit code for invalid options, the same as that of clap.
const USAGE: u8 = 2;
/// Exit code after a second Ctrl-C: 128 + SIGINT, as in a shell.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(Completed { report, unwritten }) => {
            // A closed standard output is no error.
            let _ = write!(io::stdout(), "{}", TextSummary(&report));
            for assert in report.asserts.iter().filter(|assert| assert.result != "holds") {
                eprintln!("ws-load: assert {}: {} ({})", assert.expression, assert.result, assert.seen);
            }
            for problem in report.early_end().into_iter().chain(report.unreached_rate()) {
                eprintln!("ws-load: {problem}");
            }
            match unwritten {
                Some(error) => fail(&error),
                None => ExitCode::from(report.exit_code()),
            }
        }
        Err(error) => fail(&error),
    }
}

/// Prints an error, and returns its exit code.
fn fail(error: &LoadError) -> ExitCode {
    eprintln!("ws-load: {error}");
    ExitCode::from(if error.is_usage() { USAGE } else { 1 })
}

/// Runs the command of the command line.
fn run(cli: Cli) -> Result<Completed, LoadError> {
    match cli.command {
        Some(Command::Merge { logs, output }) => ws_load::merge(&logs, &output),
        None => ws_load::run(Plan::new(cli.load)?, &stop_on_ctrl_c()?),
    }
}

/// Returns a channel that receives a message at the first Ctrl-C. The second Ctrl-C ends the process.
fn stop_on_ctrl_c() -> Result<Receiver<()>, LoadError> {
    let (sender, receiver) = bounded(1);
    let again = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if again.swap(true, Ordering::Relaxed) {
            process::exit(INTERRUPTED);
        }
        // Cannot be full: this is the first message.
        let _ = sender.try_send(());
    })
    .map_err(|error| LoadError::System {
        action: "handle Ctrl-C",
        source: io::Error::other(error.to_string()),
    })?;
    Ok(receiver)
}
