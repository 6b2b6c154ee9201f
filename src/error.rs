//! Errors that prevent the server from starting.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// An error that prevents the server from starting. `Display` writes one lower-case sentence: what happened,
/// then what the operator can do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be resolved or bound.
    Listen {
        /// The configured address.
        address: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The requested number of workers or connections exceeds a limit of the process or the system.
    TooMany {
        /// What is limited.
        what: Limited,
        /// The requested number, if there was one.
        requested: Option<usize>,
        /// The number that the limits allow.
        allowed: usize,
        /// The limits that allow less, the tightest first, with their values and what they allow.
        explanation: String,
        /// Options that fit, commands that raise the limits, or both. May be empty.
        advice: String,
    },
    /// The system did not start all workers, although the known limits allow them.
    Threads {
        /// The requested number of workers.
        workers: usize,
        /// The number of workers that were started.
        started: usize,
    },
    /// A thread beside the workers cannot be started.
    Thread {
        /// What the thread is for.
        purpose: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The readiness set cannot be created.
    Files(io::Error),
    /// The signal handlers cannot be installed.
    Signals(io::Error),
    /// `WS_ECHO_TUNE` is invalid, for this reason.
    Tuning(String),
    /// Rooms cannot be shared with other instances.
    Rooms {
        /// Host and port of the Redis.
        address: String,
        /// The reason, of the client or of Redis.
        reason: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A certificate or key file is unusable.
    File {
        /// The file.
        path: PathBuf,
        /// The reason, as a lower-case sentence.
        reason: String,
    },
}

/// What limits of the system apply to. `Display` writes the name of the option without its dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Worker threads.
    Workers,
    /// Connections at once.
    Connections,
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Workers => "workers",
            Self::Connections => "connections",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, source } => {
                write!(f, "cannot listen on {address}: {source}; {}", listen_advice(address, source))
            }
            Self::TooMany { what, requested, explanation, advice, .. } => {
                let verb = if *what == Limited::Workers { "start" } else { "serve" };
                let number = requested.map(|number| format!("{number} ")).unwrap_or_default();
                write!(f, "cannot {verb} {number}{what}: {explanation}")?;
                if advice.is_empty() { Ok(()) } else { write!(f, "; {advice}") }
            }
            Self::Threads { workers, started } => {
                write!(
                    f,
                    "cannot start {workers} workers: the system started {started} threads and no more; "
                )?;
                // The rest is for the other threads, for the arenas of the allocator, 64 MiB of address space
                // each, and for the memory that sessions need.
                let fewer = started / 4;
                if fewer > 0 {
                    write!(f, "use --workers {fewer}, or ")?;
                }
                f.write_str("raise the limits on threads and memory, for example with `ulimit -v unlimited`")
            }
            Self::Thread { purpose, source } => write!(
                f,
                "cannot start the thread for {purpose}: {source}; \
                 use fewer --workers, or raise the limits on threads and memory"
            ),
            Self::Files(source) => {
                write!(f, "cannot wait for connections: {source}; raise `ulimit -n`")
            }
            Self::Signals(source) => write!(
                f,
                "cannot install the signal handlers: {source}; raise the limits on threads and open files"
            ),
            Self::Tuning(reason) => write!(f, "invalid WS_ECHO_TUNE: {reason}"),
            Self::Rooms { address, reason, remedy } => {
                write!(f, "cannot share rooms over Redis at {address}: {reason}; {remedy}")
            }
            Self::File { path, reason } => write!(f, "cannot use {}: {reason}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. }
            | Self::Thread { source, .. }
            | Self::Files(source)
            | Self::Signals(source) => Some(source),
            _ => None,
        }
    }
}

/// Returns what the operator can do about an error of bind or name resolution.
fn listen_advice(address: &str, error: &io::Error) -> &'static str {
    if address.starts_with("systemd") {
        return "start the server with a socket unit, or set --listen to HOST:PORT or unix:PATH";
    }
    if address.starts_with("unix:") {
        return match error.kind() {
            io::ErrorKind::AddrInUse => "stop that process, or choose another path",
            io::ErrorKind::AlreadyExists => "remove the file, or choose another path",
            io::ErrorKind::PermissionDenied => "choose a path in a directory that this user may write to",
            _ => "choose a path in a directory that exists",
        };
    }
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "stop the program that uses it, or choose another port with --listen or --tls-listen"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 require a privilege; choose a higher port with --listen or --tls-listen"
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this machine has this address; choose another with --listen or --tls-listen"
        }
        _ => {
            "set --listen or --tls-listen to HOST:PORT, for example 127.0.0.1:1234 or [::]:1234, or to unix:PATH"
        }
    }
}
