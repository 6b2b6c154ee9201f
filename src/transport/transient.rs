//! Errors after which a blocking call is repeated.

use std::io;

/// Returns whether a blocking call can be repeated: a signal interrupted it, or its socket time-out expired.
/// A time-out is `WouldBlock` or `TimedOut`, depending on the platform.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
