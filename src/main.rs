//! The program `ws-echo`: options, logging, listeners, run until the stop request, summary, exit code.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use log::{Level, error, info, log_enabled, warn};
use ws_echo::cli::{Cli, Program, unknown_variable, unknown_variables};
use ws_echo::config::{DEFAULT_CONNECTIONS, default_workers};
use ws_echo::logging::LogFormat;
use ws_echo::platform::limits::{self, Fitted};
use ws_echo::platform::service_manager::ServiceManager;
use ws_echo::platform::tune;
use ws_echo::server::bind::listen_all;
use ws_echo::server::inherited::InheritedSockets;
use ws_echo::server::listener::ready_lines;
use ws_echo::server::shutdown::watch_signals;
use ws_echo::tls::certificate_watch::CertificateWatch;
use ws_echo::{Certificate, Config, Error, Listener, Server, ShutdownSignal, Summary, commands, logging};

/// Maximum time to wait for the reader of standard output.
const PRINT_TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let Program { command, cli } = Program::from_arguments();
    if let Some(command) = command {
        return commands::run(command, &cli);
    }
    // Before other threads start.
    let inherited = InheritedSockets::from_environment();
    let log_format = cli.log_format();
    logging::start(log_format);
    match run(cli, inherited) {
        Ok(summary) => {
            if log_format == LogFormat::Json {
                summary.log();
            }
            print(summary.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            // An error line is written at any level of the log.
            if log_format == LogFormat::Json && log_enabled!(Level::Error) {
                error!("{error}");
            } else {
                logging::write_line(&format!("ws-echo: {error}"));
            }
            logging::flush();
            ExitCode::FAILURE
        }
    }
}

/// Binds, prints the ready lines, and serves until the stop request.
fn run(cli: Cli, mut inherited: InheritedSockets) -> Result<Summary, Error> {
    tune::read()?;
    for name in unknown_variables() {
        warn!("{}", unknown_variable(&name));
    }
    let stop = ShutdownSignal::new();
    let service_manager = ServiceManager::from_environment();
    let tls = cli.tls();
    let certificate = tls.map(|tls| Certificate::load(tls.certificate, tls.key)).transpose()?.map(Arc::new);
    let certificate_watch = certificate
        .clone()
        .map(|certificate| CertificateWatch::start(certificate, cli.cert_watch(), service_manager.clone()))
        .transpose()?;
    watch_signals(&stop, certificate_watch)?;
    let mut listeners: Vec<_> =
        listen_all(&cli.listen(), &mut inherited)?.into_iter().map(Listener::from).collect();
    if let (Some(tls), Some(certificate)) = (tls, certificate) {
        let secure = |socket| Listener::secure(socket, Arc::clone(&certificate));
        listeners.extend(listen_all(tls.addresses, &mut inherited)?.into_iter().map(secure));
    }
    let admin = listen_all(cli.admin_listen(), &mut inherited)?;
    let unused = inherited.unused();
    if !unused.is_empty() {
        warn!(
            "sockets of the service manager that no option takes: {}; use --listen systemd",
            unused.join(", ")
        );
    }
    let ready_lines = ready_lines(&listeners, &admin);
    let addresses: Vec<_> = listeners.iter().map(Listener::to_string).collect();
    let log_format = cli.log_format();
    let (requested_workers, requested_connections) = (cli.workers(), cli.connections());
    let config = cli.into_config();
    let workers = warned(limits::fit_workers(requested_workers, default_workers())?);
    let connections =
        warned(limits::fit_connections(requested_connections, DEFAULT_CONNECTIONS, config.waiting)?);
    let memory = config.memory.unwrap_or_else(limits::default_memory);
    if let Some(sentence) = limits::excess_memory(memory) {
        warn!("{sentence}");
    }
    let config = Config { workers, connections, memory: Some(memory), ..config };
    let server =
        Server::new(listeners, config).with_admin(admin).with_service_manager(service_manager).start()?;
    // After the start of the workers: a storm of connections during it would overflow the backlog.
    print(ready_lines);
    if log_format == LogFormat::Json {
        for address in addresses {
            info!(address, workers, connections, memory, version = env!("CARGO_PKG_VERSION"); "listening on {address}");
        }
    }
    server.run(&stop)
}

/// Returns the number, and logs the warning.
fn warned(fitted: Fitted) -> usize {
    if let Some(sentence) = fitted.warning {
        warn!("{sentence}");
    }
    fitted.count
}

/// Prints to standard output, behind all log lines. Waits for at most [`PRINT_TIMEOUT`], so that a reader
/// that has stalled does not stop the server. Errors are ignored, for example if standard output is closed.
fn print(text: String) {
    logging::flush();
    let (done, printed) = mpsc::channel::<()>();
    let write = move || {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
        drop(done);
    };
    if thread::Builder::new().name("print".into()).spawn(write).is_ok() {
        let _ = printed.recv_timeout(PRINT_TIMEOUT);
    }
}
