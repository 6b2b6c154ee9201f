//! How many worker threads this machine has room for.
//!
//! A process that asks the system for one thread too many is aborted inside the standard library, so the limits are
//! looked at before the first one is started. Sources: `proc(5)`, `getrlimit(2)`, `cgroups(7)`.

use std::fs;
use std::path::Path;

use rlimit::Resource;

use crate::error::Error;

/// Memory mappings of one thread: its stack and guard page, its signal stack and guard page.
const MAPPINGS_PER_THREAD: u64 = 4;

/// Memory mappings left to everything but threads: libraries, allocator arenas, large messages.
const SPARE_MAPPINGS: u64 = 1024;

/// Threads left to everything but workers, in this process and beside it.
const SPARE_THREADS: u64 = 64;

/// Descriptors left to everything but sessions and those who wait: listeners, logs, refusals in progress.
const SPARE_FILES: u64 = 64;

/// A limit of the machine, as a number of workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it is called, with its value.
    pub name: String,
    /// How many workers fit under it.
    pub fits: u64,
    /// A command that raises it.
    pub raise: String,
}

/// How many workers to start: as many as asked for, or [`Error::TooManyWorkers`]; and where nobody asked, `default`
/// or what fits, with a warning. `waiting` connections need descriptors beside those of the sessions.
pub fn fit_workers(asked: Option<usize>, default: usize, waiting: usize) -> Result<usize, Error> {
    raise_open_files();
    choose(asked, default, tightest(limits(waiting as u64)))
}

/// The decision, given the tightest limit.
fn choose(asked: Option<usize>, default: usize, tightest: Option<Limit>) -> Result<usize, Error> {
    let requested = asked.unwrap_or(default);
    let Some(Limit { name, fits, raise }) = tightest else { return Ok(requested) };
    let fits = usize::try_from(fits).unwrap_or(usize::MAX);
    if requested <= fits {
        return Ok(requested);
    }
    if asked.is_some() || fits == 0 {
        return Err(Error::TooManyWorkers { requested, fits, limit: name, raise });
    }
    log::warn!(
        "{fits} workers instead of {requested}: {name} leaves room for no more; raise it with `{raise}`"
    );
    Ok(fits)
}

/// The limit under which the fewest workers fit.
fn tightest(limits: Vec<Limit>) -> Option<Limit> {
    limits.into_iter().min_by_key(|limit| limit.fits)
}

/// Raises this process's soft limit of open files to its hard limit, as servers are expected to.
fn raise_open_files() {
    if let Ok((soft, hard)) = Resource::NOFILE.get()
        && soft < hard
        && let Err(error) = Resource::NOFILE.set(hard, hard)
    {
        log::debug!("cannot raise the limit of open files from {soft} to {hard}: {error}");
    }
}

/// Every limit that this machine tells of.
fn limits(waiting: u64) -> Vec<Limit> {
    let mut limits = Vec::new();
    limits.extend(mappings());
    limits.extend(open_files(waiting));
    limits.extend(own_threads());
    limits.extend(all_threads("kernel.threads-max"));
    limits.extend(all_threads("kernel.pid_max"));
    limits.extend(cgroup_threads());
    limits
}

/// `vm.max_map_count`.
fn mappings() -> Option<Limit> {
    let limit = sysctl("vm.max_map_count")?;
    let used = fs::read_to_string("/proc/self/maps").ok()?.lines().count() as u64;
    Some(Limit {
        name: format!("vm.max_map_count ({limit})"),
        fits: limit.saturating_sub(used + SPARE_MAPPINGS) / MAPPINGS_PER_THREAD,
        raise: format!("sysctl -w vm.max_map_count={}", limit.saturating_mul(4)),
    })
}

/// `RLIMIT_NOFILE`: each session is a descriptor.
fn open_files(waiting: u64) -> Option<Limit> {
    let limit = Resource::NOFILE.get_soft().ok()?;
    Some(Limit {
        name: format!("the limit of open files ({limit})"),
        fits: limit.saturating_sub(waiting + SPARE_FILES),
        raise: format!("ulimit -n {}", limit.saturating_mul(4)),
    })
}

/// How many descriptors are left beside those of sessions and of connections that wait.
pub(crate) fn spare_files(taken: usize) -> usize {
    let limit =
        Resource::NOFILE.get_soft().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    // Standard streams, listeners, and what the libraries open for a moment.
    limit.saturating_sub(taken + 16)
}

/// `RLIMIT_NPROC`: counts all threads of a user, and does not hold for root.
fn own_threads() -> Option<Limit> {
    let limit = Resource::NPROC.get_soft().ok()?;
    let uid = status_number(&fs::read_to_string("/proc/self/status").ok()?, "Uid:")?;
    if uid == 0 || limit == u64::MAX {
        return None;
    }
    Some(Limit {
        name: format!("the limit of processes and threads of this user ({limit})"),
        fits: limit.saturating_sub(threads_of(uid) + SPARE_THREADS),
        raise: format!("ulimit -u {}", limit.saturating_mul(4)),
    })
}

/// `kernel.threads-max` and `kernel.pid_max`: all threads of the machine.
fn all_threads(name: &str) -> Option<Limit> {
    let limit = sysctl(name)?;
    // The fourth field of loadavg: runnable and existing threads, as "2/345".
    let loads = fs::read_to_string("/proc/loadavg").ok()?;
    let used = loads.split_whitespace().nth(3)?.split_once('/')?.1.parse::<u64>().ok()?;
    Some(Limit {
        name: format!("{name} ({limit})"),
        fits: limit.saturating_sub(used + SPARE_THREADS),
        raise: format!("sysctl -w {name}={}", limit.saturating_mul(4)),
    })
}

/// `pids.max` of the process's control group and of the groups around it, in version 2 or 1 of cgroups.
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
        fits: limit.saturating_sub(used + SPARE_THREADS),
        raise: format!("echo {} > {}/pids.max", limit.saturating_mul(4), group.display()),
    })
}

/// A kernel setting that is a number.
fn sysctl(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name.replace('.', "/"))).ok()?.trim().parse().ok()
}

/// How many threads a user has.
fn threads_of(uid: u64) -> u64 {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    processes
        .flatten()
        .filter_map(|process| fs::read_to_string(process.path().join("status")).ok())
        .filter(|status| status_number(status, "Uid:") == Some(uid))
        .filter_map(|status| status_number(&status, "Threads:"))
        .sum()
}

/// The first number of a line of `/proc/PID/status`.
fn status_number(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(fits: u64) -> Limit {
        Limit { name: "the limit".into(), fits, raise: "raise it".into() }
    }

    #[test]
    fn what_was_asked_for_is_started_or_refused() {
        assert_eq!(choose(Some(10), 1024, Some(limit(10))).unwrap(), 10);
        let refused = choose(Some(11), 1024, Some(limit(10))).unwrap_err().to_string();
        for part in ["--workers 11", "the limit", "use --workers 10", "`raise it`"] {
            assert!(refused.contains(part), "{part} is missing in: {refused}");
        }
    }

    #[test]
    fn the_default_lowers_itself() {
        assert_eq!(choose(None, 1024, Some(limit(10))).unwrap(), 10);
        assert_eq!(choose(None, 1024, None).unwrap(), 1024);
        assert!(choose(None, 1024, Some(limit(0))).is_err(), "a server without workers serves nobody");
    }

    #[test]
    fn this_machine_tells_its_limits() {
        let limits = limits(128);
        assert!(limits.iter().any(|limit| limit.name.starts_with("vm.max_map_count")), "{limits:?}");
        assert!(limits.iter().any(|limit| limit.name.contains("open files")), "{limits:?}");
    }
}
