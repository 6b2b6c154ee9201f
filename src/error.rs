//! Why the server could not start, each with the sentence that a user reads.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Everything that keeps the server from starting. Once it runs, no peer and no full table ends it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The address could not be resolved or listened on.
    Listen {
        /// What was asked for.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// More workers were asked for than the machine has room for.
    TooManyWorkers {
        /// What was asked for.
        requested: usize,
        /// How many would fit.
        fits: usize,
        /// The limit that is hit first.
        limit: String,
        /// How to raise it.
        raise: String,
    },
    /// A thread could not be started although the limits had room for it.
    Threads {
        /// How many worker threads were wanted.
        workers: usize,
    },
    /// No descriptors were left for a pipe.
    Files(io::Error),
    /// The signals could not be watched.
    Signals(io::Error),
    /// A file that an option names could not be used.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as a lower-case sentence.
        problem: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, source } => {
                write!(f, "cannot listen on {address}: {source}; {}", listen_advice(source))
            }
            Self::TooManyWorkers { requested, fits, limit, raise } => write!(
                f,
                "--workers {requested} is more than this machine has room for: {limit} leaves room for {fits}; \
                 use --workers {fits}, or raise the limit with `{raise}`"
            ),
            Self::Threads { workers } => write!(
                f,
                "could not start {workers} worker threads: the system refused one; \
                 use fewer --workers, or look for a limit on threads or memory"
            ),
            Self::Files(source) => {
                write!(f, "cannot open a pipe: {source}; raise `ulimit -n`, or use fewer --workers")
            }
            Self::Signals(source) => write!(f, "cannot watch for Ctrl-C and other signals: {source}"),
            Self::File { path, problem } => write!(f, "cannot use {}: {problem}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. } | Self::Files(source) | Self::Signals(source) => Some(source),
            _ => None,
        }
    }
}

/// What somebody who could not listen may do about it.
fn listen_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "stop the program that has it, or choose another port with --listen or --tls-listen"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; choose a higher one with --listen"
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this machine has that address; choose one with --listen"
        }
        _ => "give --listen as HOST:PORT, for example 127.0.0.1:1234 or [::]:1234",
    }
}
