//! Limits of the process, its control groups and the system on the number of workers.
//!
//! The standard library aborts the process if a thread lacks memory mappings, so the limits are checked
//! before the first worker starts. Sources: `proc(5)`, `getrlimit(2)`, `cgroups(7)`.

use std::fs;
use std::path::Path;

use rlimit::Resource;

use crate::error::Error;

/// Memory mappings per thread: stack, signal stack and a guard page for each.
const MAPPINGS_PER_THREAD: u64 = 4;

/// Memory mappings reserved for libraries, allocator arenas and large messages.
const SPARE_MAPPINGS: u64 = 1024;

/// Threads reserved for everything but workers, in this process and in others.
const SPARE_THREADS: u64 = 64;

/// File descriptors reserved for listeners, logs and rejected connections.
const SPARE_FILES: u64 = 64;

/// File descriptors that [`spare_files`] reserves for standard streams, listeners and libraries.
const RESERVED_FILES: usize = 16;

/// A limit on the number of workers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit {
    /// Name of the limit, with its value.
    name: String,
    /// Number of workers that it allows.
    max_workers: u64,
    /// A command that raises it.
    raise_command: String,
}

/// Returns the number of workers to start: `requested`, or without it `default` lowered to what the limits
/// allow, with a warning in the log. `waiting` is the number of queued connections, which need file
/// descriptors too. Raises the soft limit of open files to the hard limit first.
///
/// # Errors
///
/// [`Error::TooManyWorkers`] if the limits allow less than `requested`, or no worker at all.
pub fn fit_workers(requested: Option<usize>, default: usize, waiting: usize) -> Result<usize, Error> {
    raise_open_files_limit();
    choose_workers(requested, default, lowest(limits(waiting as u64)))
}

fn choose_workers(requested: Option<usize>, default: usize, lowest: Option<Limit>) -> Result<usize, Error> {
    let workers = requested.unwrap_or(default);
    let Some(Limit { name, max_workers, raise_command }) = lowest else { return Ok(workers) };
    let max_workers = usize::try_from(max_workers).unwrap_or(usize::MAX);
    if workers <= max_workers {
        return Ok(workers);
    }
    if requested.is_some() || max_workers == 0 {
        return Err(Error::TooManyWorkers { requested: workers, max_workers, limit: name, raise_command });
    }
    log::warn!(
        "{max_workers} workers instead of {workers}: {name} allows no more; raise it with `{raise_command}`"
    );
    Ok(max_workers)
}

/// Returns the limit that allows the fewest workers.
fn lowest(limits: Vec<Limit>) -> Option<Limit> {
    limits.into_iter().min_by_key(|limit| limit.max_workers)
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

/// Returns all limits that the system reports.
fn limits(waiting: u64) -> Vec<Limit> {
    let mut limits = Vec::new();
    limits.extend(mappings());
    limits.extend(open_files(waiting));
    limits.extend(user_threads());
    limits.extend(system_threads("kernel.threads-max"));
    limits.extend(system_threads("kernel.pid_max"));
    limits.extend(cgroup_threads());
    limits
}

/// `vm.max_map_count`.
fn mappings() -> Option<Limit> {
    let limit = sysctl("vm.max_map_count")?;
    let used = fs::read_to_string("/proc/self/maps").ok()?.lines().count() as u64;
    Some(Limit {
        name: format!("vm.max_map_count ({limit})"),
        max_workers: limit.saturating_sub(used + SPARE_MAPPINGS) / MAPPINGS_PER_THREAD,
        raise_command: format!("sysctl -w vm.max_map_count={}", limit.saturating_mul(4)),
    })
}

/// `RLIMIT_NOFILE`: each connection takes one file descriptor.
fn open_files(waiting: u64) -> Option<Limit> {
    let limit = Resource::NOFILE.get_soft().ok()?;
    Some(Limit {
        name: format!("the limit of open files ({limit})"),
        max_workers: limit.saturating_sub(waiting + SPARE_FILES),
        raise_command: format!("ulimit -n {}", limit.saturating_mul(4)),
    })
}

/// Returns the number of file descriptors that are free if `used` of them are taken by sessions and queued
/// connections.
pub(crate) fn spare_files(used: usize) -> usize {
    let limit =
        Resource::NOFILE.get_soft().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    limit.saturating_sub(used + RESERVED_FILES)
}

/// `RLIMIT_NPROC`: all threads of a user. Does not apply to root.
fn user_threads() -> Option<Limit> {
    let limit = Resource::NPROC.get_soft().ok()?;
    let uid = status_number(&fs::read_to_string("/proc/self/status").ok()?, "Uid:")?;
    if uid == 0 || limit == u64::MAX {
        return None;
    }
    Some(Limit {
        name: format!("the limit of processes and threads of this user ({limit})"),
        max_workers: limit.saturating_sub(threads_of(uid) + SPARE_THREADS),
        raise_command: format!("ulimit -u {}", limit.saturating_mul(4)),
    })
}

/// `kernel.threads-max` or `kernel.pid_max`: all threads of the system.
fn system_threads(name: &str) -> Option<Limit> {
    let limit = sysctl(name)?;
    // The fourth field of loadavg is "runnable/existing" threads, for example "2/345".
    let loads = fs::read_to_string("/proc/loadavg").ok()?;
    let used = loads.split_whitespace().nth(3)?.split_once('/')?.1.parse::<u64>().ok()?;
    Some(Limit {
        name: format!("{name} ({limit})"),
        max_workers: limit.saturating_sub(used + SPARE_THREADS),
        raise_command: format!("sysctl -w {name}={}", limit.saturating_mul(4)),
    })
}

/// `pids.max` of the control group of the process and of its parents (cgroups v2 and v1).
fn cgroup_threads() -> Vec<Limit> {
    let Ok(own) = fs::read_to_string("/proc/self/cgroup") else { return Vec::new() };
    let mut limits = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let root = match controllers {
            "" => Path::new("/sys/fs/cgroup"),
            "pids" => Path::new("/sys/fs/cgroup/pids"),
            _ => continue,
        };
        for group in Path::new(group.trim_start_matches('/')).ancestors() {
            limits.extend(pids_max(&root.join(group)));
        }
    }
    limits
}

/// `pids.max` of one control group.
fn pids_max(group: &Path) -> Option<Limit> {
    let number = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
    let (limit, used) = (number("pids.max")?, number("pids.current")?);
    Some(Limit {
        name: format!("pids.max of the control group {} ({limit})", group.display()),
        max_workers: limit.saturating_sub(used + SPARE_THREADS),
        raise_command: format!("echo {} > {}/pids.max", limit.saturating_mul(4), group.display()),
    })
}

/// Reads a numeric kernel setting.
fn sysctl(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name.replace('.', "/"))).ok()?.trim().parse().ok()
}

/// Counts the threads of a user.
fn threads_of(uid: u64) -> u64 {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    processes
        .flatten()
        .filter_map(|process| fs::read_to_string(process.path().join("status")).ok())
        .filter(|status| status_number(status, "Uid:") == Some(uid))
        .filter_map(|status| status_number(&status, "Threads:"))
        .sum()
}

/// Returns the first number of the field `name` in `/proc/PID/status`.
fn status_number(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(max_workers: u64) -> Limit {
        Limit { name: "the limit".into(), max_workers, raise_command: "raise it".into() }
    }

    #[test]
    fn requested_workers_start_or_fail() {
        assert_eq!(choose_workers(Some(10), 1024, Some(limit(10))).unwrap(), 10);
        let error = choose_workers(Some(11), 1024, Some(limit(10))).unwrap_err().to_string();
        for part in ["cannot start 11 workers", "the limit allows 10", "use --workers 10", "`raise it`"] {
            assert!(error.contains(part), "{part} is missing in: {error}");
        }
    }

    #[test]
    fn default_workers_are_lowered_to_the_limit() {
        assert_eq!(choose_workers(None, 1024, Some(limit(10))).unwrap(), 10);
        assert_eq!(choose_workers(None, 1024, None).unwrap(), 1024);
        let error = choose_workers(None, 1024, Some(limit(0))).unwrap_err().to_string();
        assert!(error.contains("allows none") && !error.contains("--workers"), "{error}");
    }

    #[test]
    fn limits_are_read_from_this_system() {
        let limits = limits(128);
        assert!(limits.iter().any(|limit| limit.name.starts_with("vm.max_map_count")), "{limits:?}");
        assert!(limits.iter().any(|limit| limit.name.contains("open files")), "{limits:?}");
    }
}
