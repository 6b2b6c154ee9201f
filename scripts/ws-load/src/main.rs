//! `ws-load`: a load generator for WebSocket echo endpoints. A table of contents; the work is in the library.

use clap::Parser;
use crossbeam_channel::{Receiver, bounded};
use std::{
    io::{self, Write},
    process::{self, ExitCode},
    sync::atomic::{AtomicBool, Ordering},
};
use ws_load::{Cli, Command, Done, LoadError, Plan, Summary};

/// Exit code for words that make no sense, as clap has it.
const USAGE: u8 = 2;
/// Exit code after a second Ctrl-C, as a shell has it.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(Done { report, unwritten }) => {
            // Whoever closed standard output does not want the summary.
            let _ = write!(io::stdout(), "{}", Summary(&report));
            for asserted in report.asserts.iter().filter(|asserted| asserted.result != "holds") {
                eprintln!("ws-load: assert {}: {} ({})", asserted.expression, asserted.result, asserted.seen);
            }
            match unwritten {
                Some(error) => fail(&error),
                None => ExitCode::from(report.exit_code()),
            }
        }
        Err(error) => fail(&error),
    }
}

/// Says what went wrong.
fn fail(error: &LoadError) -> ExitCode {
    eprintln!("ws-load: {error}");
    ExitCode::from(if error.is_usage() { USAGE } else { 1 })
}

/// Does what is asked for.
fn run(cli: Cli) -> Result<Done, LoadError> {
    match cli.command {
        Some(Command::Merge { logs, output }) => ws_load::merge(&logs, &output),
        None => ws_load::run(Plan::new(cli.load)?, &stop_on_ctrl_c()?),
    }
}

/// The first Ctrl-C ends the run early with the figures so far, the second ends it at once.
fn stop_on_ctrl_c() -> Result<Receiver<()>, LoadError> {
    let (sender, receiver) = bounded(1);
    let again = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if again.swap(true, Ordering::Relaxed) {
            process::exit(INTERRUPTED);
        }
        // Full means that the word has been given already.
        let _ = sender.try_send(());
    })
    .map_err(|error| LoadError::System {
        action: "listen for Ctrl-C",
        source: io::Error::other(error.to_string()),
    })?;
    Ok(receiver)
}
