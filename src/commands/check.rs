//! Checks what a start would check, and what it would only find later, without serving.

use std::fmt;
use std::time::SystemTime;

use bytesize::ByteSize;
use rlimit::Resource;

use crate::cli::{self, Cli, TlsConfig};
use crate::config::{DEFAULT_CONNECTIONS, default_workers};
use crate::error::Error;
use crate::platform::limits::{self, Fitted};
use crate::platform::tune;
use crate::rooms::threads::check_redis;
use crate::server::bind::listen_all;
use crate::server::inherited::InheritedSockets;
use crate::server::listen_address::ListenAddress;
use crate::server::listener::ListeningSocket;
use crate::tls::certificate::{self, Certificate};

/// What was checked, in order. Its `Display` is a line for each, and a conclusion.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<(Verdict, String)>);

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// The server would start, and some clients would be rejected.
    Warning,
    /// The server would not start, or would not serve.
    Problem,
}

impl Report {
    /// Returns whether the server would not start, or would not serve.
    pub(super) fn has_problem(&self) -> bool {
        self.problems() > 0
    }

    fn problems(&self) -> usize {
        self.0.iter().filter(|(verdict, _)| *verdict == Verdict::Problem).count()
    }

    fn ok(&mut self, text: impl Into<String>) {
        self.0.push((Verdict::Ok, text.into()));
    }

    fn warning(&mut self, text: impl Into<String>) {
        self.0.push((Verdict::Warning, text.into()));
    }

    fn problem(&mut self, text: impl fmt::Display) {
        self.0.push((Verdict::Problem, text.to_string()));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (verdict, text) in &self.0 {
            let word = match verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Problem => "problem",
            };
            writeln!(f, "{word:8} {text}")?;
        }
        match self.problems() {
            0 => writeln!(f, "the server would start"),
            1 => writeln!(f, "1 problem"),
            count => writeln!(f, "{count} problems"),
        }
    }
}

/// Checks options, certificate, addresses and limits. Binds the addresses for the time of the check.
pub(super) fn check(options: Cli) -> Report {
    let mut report = Report::default();
    if let Err(error) = tune::read() {
        report.problem(error);
    }
    for name in cli::unknown_variables() {
        report.warning(cli::unknown_variable(&name));
    }
    if let Some(tls) = options.tls() {
        check_certificate(&mut report, tls);
    }
    if let Some(url) = options.rooms() {
        match check_redis(url) {
            Ok(address) => report.ok(format!("rooms: Redis at {address}")),
            Err(error) => report.problem(error),
        }
    }
    // All are held until the end, so that they conflict if two are the same.
    let plain = check_addresses(&mut report, "ws", &options.listen());
    let tls = options.tls().map(|tls| check_addresses(&mut report, "wss", tls.addresses));
    let admin = check_addresses(&mut report, "admin", options.admin_listen());
    check_limits(&mut report, options);
    drop((plain, tls, admin));
    report
}

/// Checks that certificate and key belong together and are valid now.
fn check_certificate(report: &mut Report, tls: TlsConfig) {
    if let Err(error) = Certificate::load(tls.certificate, tls.key) {
        return report.problem(error);
    }
    let path = tls.certificate.display();
    let Some((from, until)) = certificate::validity(tls.certificate) else {
        return report.ok(format!("certificate {path}"));
    };
    let now = SystemTime::now();
    let (first, last) = (humantime::format_rfc3339_seconds(from), humantime::format_rfc3339_seconds(until));
    if now > until {
        report.problem(format!("certificate {path}: expired on {last}, clients will reject it; replace it"));
    } else if now < from {
        report
            .problem(format!("certificate {path}: not valid before {first}; check the clock, or replace it"));
    } else {
        report.ok(format!("certificate {path}: valid until {last}"));
    }
}

/// Binds the addresses, except those that the service manager binds.
fn check_addresses(report: &mut Report, scheme: &str, addresses: &[ListenAddress]) -> Vec<ListeningSocket> {
    let is_passed = |address: &&ListenAddress| matches!(address, ListenAddress::Inherited(_));
    let (passed, own): (Vec<_>, Vec<_>) = addresses.iter().partition(is_passed);
    for address in passed {
        report.ok(format!("{scheme}: {address} is not checked: the service manager binds it"));
    }
    let own: Vec<_> = own.into_iter().cloned().collect();
    match listen_all(&own, &mut InheritedSockets::default()) {
        Ok(sockets) => {
            for address in own {
                report.ok(format!("{scheme}: {address} can be bound"));
            }
            sockets
        }
        Err(error) => {
            report.problem(error);
            Vec::new()
        }
    }
}

/// Checks workers, connections and memory against the limits of the process, its control group and the
/// system.
fn check_limits(report: &mut Report, options: Cli) {
    let (workers, connections) = (options.workers(), options.connections());
    let config = options.into_config();
    let mut count = |result: Result<Fitted, Error>, noun: &str| match result {
        Ok(Fitted { warning: Some(sentence), .. }) => report.warning(sentence),
        Ok(Fitted { count, .. }) => report.ok(format!("{count} {noun}")),
        Err(error) => report.problem(error),
    };
    count(limits::fit_workers(workers, default_workers()), "workers");
    // Raises the soft limit of open files, which is read below.
    let waiting = config.waiting;
    count(
        limits::fit_connections(connections, DEFAULT_CONNECTIONS, waiting),
        &format!("connections at once, {waiting} waiting"),
    );
    if let Ok(files) = Resource::NOFILE.get_soft() {
        report.ok(format!("{files} file descriptors"));
    }
    let memory = config.memory.unwrap_or_else(limits::default_memory);
    let size = |bytes: usize| ByteSize(bytes as u64);
    let usable = limits::usable_memory();
    let of_usable = usable.map(|bytes| format!(", of {} that the process may use", ByteSize(bytes)));
    let words = format!("{} for messages{}", size(memory), of_usable.unwrap_or_default());
    if let Some(sentence) = limits::excess_memory(memory) {
        report.problem(sentence);
    } else if memory < config.max_message {
        let largest = size(config.max_message);
        let words = format!("{words}: less than --max-message {largest}, which closes with 1013");
        report.warning(words);
    } else {
        report.ok(words);
    }
}
