//! Runs a command and prints its result.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{check, documents, healthcheck};
use crate::cli::{Cli, Command};
use crate::logging;

/// Runs a command. `server` has the options that the environment sets. Returns the exit code: 0, or 1 if the
/// command found a problem.
#[must_use]
pub fn run(command: Command, server: &Cli) -> ExitCode {
    match command {
        Command::Check(options) => {
            // The warnings of a start are log lines.
            logging::start(options.log_format());
            let report = check::check(*options);
            logging::flush();
            print(report.to_string().as_bytes());
            if report.has_problem() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Command::Healthcheck { url, timeout } => {
            finish(healthcheck::ask(server, &url, timeout).map(String::into_bytes))
        }
        Command::Completions { shell } => finish(Ok(documents::completions(shell))),
        Command::Man => finish(documents::man().map_err(|error| format!("cannot make the page: {error}"))),
    }
}

/// Prints a result on standard output, or an error line on standard error.
fn finish(result: Result<Vec<u8>, String>) -> ExitCode {
    match result {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ws-echo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints text on standard output. A closed standard output is no error.
fn print(text: &[u8]) {
    let _ = io::stdout().write_all(text);
}
