//! Why a load run could not happen, each with the sentence a user reads.

use std::{fmt, io, path::PathBuf};

/// A run that could not start, or could not be finished.
#[derive(Debug)]
pub enum LoadError {
    /// An option, or two together, make no sense.
    Usage(String),
    /// The host of the URL has no address.
    Unresolvable {
        /// As it stands in the URL.
        host: String,
        /// What the resolver said, if it said anything.
        source: Option<io::Error>,
    },
    /// The process may not open as many sockets as were asked for.
    Descriptors {
        /// What the run needs.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// No connection at all could be opened.
    Unreachable {
        /// The URL.
        url: String,
        /// The reason most connections gave.
        reason: String,
        /// What the user can do.
        advice: &'static str,
    },
    /// TLS could not be set up on this side.
    Tls(String),
    /// A file could not be read or written.
    File {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// A file is not what it should be.
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The system refused a thread, a poll or an alarm.
    System {
        /// What was attempted.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl LoadError {
    /// An error about the file at `path`.
    pub(super) fn file(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { path: path.into(), source }
    }

    /// Turns a system error into one that names `action`; for `map_err`.
    pub(super) fn system(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { action, source }
    }

    /// Whether the user's words are at fault, and not the world.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => f.write_str(what),
            Self::Unresolvable { host, source: Some(source) } => {
                write!(f, "the host \"{host}\" has no address ({source}): check the name in the URL")
            }
            Self::Unresolvable { host, source: None } => {
                write!(f, "the host \"{host}\" has no address: check the name in the URL")
            }
            Self::Descriptors { needed, limit } => write!(
                f,
                "this run needs {needed} open files and the hard limit is {limit}: \
                 raise it (ulimit -Hn) or lower --connections"
            ),
            Self::Unreachable { url, reason, advice } => {
                write!(f, "no connection could be opened to {url}: {reason}{advice}")
            }
            Self::Tls(problem) => write!(f, "TLS could not be set up: {problem}"),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Content { path, problem } => write!(f, "{}: {problem}", path.display()),
            Self::System { action, source } => write!(f, "could not {action}: {source}"),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unresolvable { source: Some(source), .. }
            | Self::File { source, .. }
            | Self::System { source, .. } => Some(source),
            _ => None,
        }
    }
}
