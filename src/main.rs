//! The echo server's program: parse, log, bind, run until told to stop, summary, exit code.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use ws_echo::cli::Cli;
use ws_echo::config::DEFAULT_WORKERS;
use ws_echo::platform::signals::OnHangup;
use ws_echo::platform::{limits, signals};
use ws_echo::{Certificate, Config, Error, Listener, Server, ShutdownSignal, Summary, listen, logging};

fn main() -> ExitCode {
    let cli = Cli::from_arguments();
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
    let stop = ShutdownSignal::new();
    let tls = cli.tls();
    let certificate = tls.map(|tls| Certificate::load(tls.certificate, tls.key)).transpose()?.map(Arc::new);
    watch_signals(&stop, certificate.clone())?;
    let mut listeners = Vec::new();
    if let Some(address) = cli.listen() {
        listeners.push(Listener::from(listen(address)?));
    }
    if let (Some(tls), Some(certificate)) = (tls, certificate) {
        listeners.push(Listener::secure(listen(tls.address)?, certificate));
    }
    let asked = cli.workers();
    let config = cli.into_config();
    let workers = limits::fit_workers(asked, DEFAULT_WORKERS, config.waiting)?;
    let greeting = greeting(&listeners);
    let server = Server::new(listeners, Config { workers, ..config }).start()?;
    // Not before: thousands of workers take a while to start, and a storm in that time would overflow the backlog.
    say(&greeting);
    server.run(&stop)
}

/// Stops the server on Ctrl-C and the like; reads the certificate again on SIGHUP where there is one.
fn watch_signals(stop: &ShutdownSignal, certificate: Option<Arc<Certificate>>) -> Result<(), Error> {
    let stop = stop.clone();
    let reload = certificate.map(|certificate| -> OnHangup {
        Box::new(move || {
            if let Err(error) = certificate.reload() {
                log::error!("{error}; the certificate in use stays");
            }
        })
    });
    signals::watch(move || stop.request(), reload)
}

/// The lines that scripts wait for, and one for people.
fn greeting(listeners: &[Listener]) -> String {
    let mut lines: Vec<_> = listeners.iter().map(|listener| format!("listening on {listener}")).collect();
    let page = listeners.first().map(Listener::page).unwrap_or_default();
    lines.push(format!("open {page} in a browser to try it; Ctrl-C stops"));
    lines.join("\n")
}

/// Prints for whoever waits on standard output. Nobody may be there, and that is no reason to stop serving.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
