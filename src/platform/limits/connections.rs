//! How many connections the limits allow.

use rlimit::Resource;

use super::limit::{Fitted, Limit, choose};
use super::memory::usable_memory;
use super::system::{kernel_setting, sysctl};
use crate::error::{Error, Limited};

/// Fewer connections than this by default are worth a warning.
const FEW_CONNECTIONS: usize = 1024;

/// Memory of an idle connection over TLS with its share of the kernel's, in bytes; see scripts/TUNING.md.
const MEMORY_PER_CONNECTION: u64 = 32 << 10;

/// File descriptors reserved for listeners, logs, Redis and rejected connections.
const SPARE_FILES: u64 = 64;

/// File descriptors that [`spare_files`] reserves for standard streams, listeners and libraries.
const RESERVED_FILES: usize = 16;

/// File descriptors that the default number of connections leaves to connections that are rejected, if there
/// are at least [`MANY_FILES`].
const REJECTED_FILES: u64 = 256;
const MANY_FILES: u64 = 1024;

/// Returns the maximum number of connections: `requested`, or without it `default` lowered to what
/// descriptors and memory allow, with a warning if that is little. `waiting` is the number of
/// connections that may wait for a place, which need file descriptors too. Raises the soft limit of open
/// files to the hard limit first.
///
/// # Errors
/// [`Error::TooMany`] if the limits allow less than `requested`, or no connection at all. Memory does not
/// limit `requested`: how much a connection needs depends on its messages.
pub fn fit_connections(requested: Option<usize>, default: usize, waiting: usize) -> Result<Fitted, Error> {
    raise_open_files_limit();
    let mut limits = Vec::from_iter(open_files(waiting as u64));
    if requested.is_none() {
        for files in limits.iter_mut().filter(|files| files.value >= MANY_FILES) {
            files.reserved += REJECTED_FILES;
        }
    }
    limits.extend(epoll_watches());
    let default = default.min(connections_in_memory().unwrap_or(usize::MAX)).max(1);
    choose(Limited::Connections, requested, default, FEW_CONNECTIONS, limits)
}

/// Raises the soft limit of open files to the hard limit (getrlimit(2)).
fn raise_open_files_limit() {
    if let Ok((soft, hard)) = Resource::NOFILE.get()
        && soft < hard
        && let Err(error) = Resource::NOFILE.set(hard, hard)
    {
        log::debug!("cannot raise the limit of open files from {soft} to {hard}: {error}");
    }
}

/// `RLIMIT_NOFILE`: each connection takes one file descriptor.
fn open_files(waiting: u64) -> Option<Limit> {
    let limit = Resource::NOFILE.get_soft().ok()?;
    Some(Limit {
        name: "the limit of open files".into(),
        value: limit,
        reserved: waiting + SPARE_FILES,
        each: 1,
        ceiling: sysctl("fs.nr_open").unwrap_or(u64::MAX),
        raise_command: ("ulimit -n ".into(), String::new()),
        waiting,
    })
}

/// `fs.epoll.max_user_watches`: each connection takes one watch (epoll(7)).
fn epoll_watches() -> Option<Limit> {
    let limit = sysctl("fs.epoll.max_user_watches")?;
    Some(kernel_setting("fs.epoll.max_user_watches", limit, SPARE_FILES, u64::MAX >> 1))
}

/// Returns how many connections fit into half of the memory that the process may use.
fn connections_in_memory() -> Option<usize> {
    usize::try_from(usable_memory()? / 2 / MEMORY_PER_CONNECTION).ok()
}

/// Returns the number of file descriptors that are free if `used` of them are taken by sessions, queued
/// connections, the admin listener and the connections to Redis.
pub(crate) fn spare_files(used: usize) -> usize {
    let limit =
        Resource::NOFILE.get_soft().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    limit.saturating_sub(used.saturating_add(RESERVED_FILES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_on_connections_are_read_from_this_system() {
        assert!(open_files(128).is_some_and(|limit| limit.name.contains("open files")));
        assert!(connections_in_memory().is_some_and(|connections| connections > 0));
    }
}
