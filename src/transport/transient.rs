//! Errors after which a blocking call is made again.

use std::io;

/// Whether a blocking call only has to be made again: a signal, or the time-out of one system call. Which of the
/// two kinds a time-out has depends on the platform.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
