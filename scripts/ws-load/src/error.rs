//! Why a run could not take place, with the sentence that the user reads.

use std::{fmt, io, path::PathBuf};

/// A run that could not start, or could not be finished.
#[derive(Debug)]
pub enum LoadError {
    /// An option is invalid, or contradicts another.
    Usage(String),
    /// The host of the URL has no address.
    Unresolvable {
        /// The host as it stands in the URL.
        host: String,
        /// The error of the resolver, if there is one.
        source: Option<io::Error>,
    },
    /// The process may not open as many sockets as the run needs.
    Descriptors {
        /// Number of descriptors that the run needs.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// No connection could be opened.
    Unreachable {
        /// The URL.
        url: String,
        /// The most frequent reason.
        reason: String,
        /// What the user can do.
        advice: &'static str,
    },
    /// A redirect leads to a URL that cannot be loaded.
    Redirect {
        /// The URL that redirects.
        url: String,
        /// What is wrong with its target.
        problem: String,
    },
    /// TLS could not be set up in this program.
    Tls(String),
    /// The file that an option names could not be read or written.
    Named {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// A file could not be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// A file has the wrong content.
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The system did not provide a thread, a poll or a timer.
    System {
        /// What was attempted.
        action: &'static str,
        /// The error.
        source: io::Error,
    },
}

impl LoadError {
    /// Creates an error about the file at `path` that an option names.
    pub(crate) fn named(option: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Named { option, path: path.into(), source }
    }

    /// Creates an error about the file at `path`.
    pub(crate) fn file(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { path: path.into(), source }
    }

    /// Returns a function for `map_err` that adds the attempted `action` to a system error.
    pub(crate) fn system(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { action, source }
    }

    /// Returns whether the command line is the cause.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(problem) => f.write_str(problem),
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
            Self::Redirect { url, problem } => {
                write!(f, "the redirect of {url} cannot be followed: {problem}")
            }
            Self::Tls(problem) => write!(f, "TLS could not be set up: {problem}"),
            Self::Named { option, path, source } => write!(f, "{option} {}: {source}", path.display()),
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
            | Self::Named { source, .. }
            | Self::System { source, .. } => Some(source),
            _ => None,
        }
    }
}
