//! The echo server's program: parse, log, bind, run until told to stop, summary, exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use ws_echo::cli::Cli;
use ws_echo::config::DEFAULT_WORKERS;
use ws_echo::{Config, Error, Server, Stop, Summary, listen, logging, machine};

/// Exit code after a second Ctrl-C: 128 and the number of SIGINT, as shells report it.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.log_format());
    match run(cli) {
        Ok(summary) => {
            say(&summary.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Standard error may be closed; the exit code still tells.
            let _ = writeln!(io::stderr(), "ws-echo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until told to stop.
fn run(cli: Cli) -> Result<Summary, Error> {
    let stop = Stop::new();
    stop_on_signals(&stop)?;
    let listener = listen(cli.listen())?;
    let address =
        listener.local_addr().map_err(|source| Error::Listen { address: cli.listen().to_owned(), source })?;
    let asked = cli.workers();
    let config = cli.into_config();
    let workers = machine::fit_workers(asked, DEFAULT_WORKERS, config.waiting)?;
    say(&format!(
        "listening on ws://{address}/\nopen http://{address}/ in a browser to try it; Ctrl-C stops"
    ));
    Server::new(listener, Config { workers, ..config }).run(&stop)
}

/// Has Ctrl-C, SIGTERM and SIGHUP stop the server, and a second one end the process at once.
fn stop_on_signals(stop: &Stop) -> Result<(), Error> {
    let stop = stop.clone();
    let handler = move || {
        if !stop.request() {
            std::process::exit(INTERRUPTED);
        }
    };
    ctrlc::set_handler(handler).map_err(Error::Signals)
}

/// Prints for whoever waits on standard output. Nobody may be there, and that is no reason to stop serving.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
