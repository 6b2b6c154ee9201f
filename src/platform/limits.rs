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

/// Largest values that the kernel accepts (`proc_sys_vm(5)`, `proc_sys_kernel(5)`).
const MAX_MAP_COUNT: u64 = i32::MAX as u64;
const MAX_THREADS_MAX: u64 = 0x3FFF_FFFF;
const MAX_PID_MAX: u64 = 1 << 22;

/// A limit of which each worker uses a part.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit {
    /// Name of the limit, without its value.
    name: String,
    value: u64,
    /// What everything but the workers uses.
    reserved: u64,
    /// What one worker uses.
    per_worker: u64,
    /// Largest value that can be set.
    ceiling: u64,
    /// A command that sets the limit: the parts before and behind the value.
    raise_command: (String, String),
    /// Number of queued connections, if each uses one of the limit and `reserved` includes them.
    waiting: u64,
}

impl Limit {
    /// Returns the number of workers that fit.
    fn max_workers(&self) -> u64 {
        self.value.saturating_sub(self.reserved) / self.per_worker
    }

    /// Returns a command after which `workers` fit. Returns `None` if the kernel accepts no such value.
    fn command_for(&self, workers: u64) -> Option<String> {
        let needed = workers.saturating_mul(self.per_worker).saturating_add(self.reserved);
        let (before, behind) = &self.raise_command;
        (needed <= self.ceiling).then(|| format!("{before}{needed}{behind}"))
    }

    /// Returns numbers of workers, at most `workers`, and of queued connections that fit together. Returns `None` if a
    /// shorter queue makes no place for workers.
    fn with_shorter_queue(&self, workers: u64) -> Option<(u64, u64)> {
        let free = self.value.saturating_sub(self.reserved.saturating_sub(self.waiting));
        // A quarter is for the queue.
        let workers = workers.min(free - free / 4);
        (workers > 0 && self.waiting > 0).then_some((workers, self.waiting.min(free - workers)))
    }
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
    choose_workers(requested, default, limits(waiting as u64))
}

fn choose_workers(requested: Option<usize>, default: usize, mut limits: Vec<Limit>) -> Result<usize, Error> {
    let workers = requested.unwrap_or(default);
    limits.retain(|limit| limit.max_workers() < workers as u64);
    limits.sort_by_key(Limit::max_workers);
    let Some(tightest) = limits.first() else { return Ok(workers) };
    let max_workers = usize::try_from(tightest.max_workers()).unwrap_or(usize::MAX);
    let explanation = explain(&limits);
    let raise = raise_advice(&limits, workers as u64);
    if requested.is_none() && max_workers > 0 {
        let raise = raise.map(|raise| format!("; {raise}")).unwrap_or_default();
        log::warn!("{max_workers} workers instead of {workers}: {explanation}{raise}");
        return Ok(max_workers);
    }
    let smaller = match max_workers {
        0 => tightest
            .with_shorter_queue(workers as u64)
            .filter(|(workers, _)| limits[1..].iter().all(|limit| limit.max_workers() >= *workers))
            .map(|(workers, waiting)| format!("use --workers {workers} --waiting {waiting}")),
        _ => Some(format!("use --workers {max_workers}")),
    };
    let advice: Vec<_> = smaller.into_iter().chain(raise).collect();
    Err(Error::TooManyWorkers { requested: workers, max_workers, explanation, advice: advice.join(", or ") })
}

/// Returns which number of workers each limit allows.
fn explain(limits: &[Limit]) -> String {
    let sentences = limits.iter().map(|limit| {
        let Limit { name, value, waiting, .. } = limit;
        let allowed = match limit.max_workers() {
            0 => "none".to_owned(),
            workers => workers.to_string(),
        };
        let beside = if *waiting > 0 { format!(" beside --waiting {waiting}") } else { String::new() };
        format!("{name} ({value}) allows {allowed}{beside}")
    });
    sentences.collect::<Vec<_>>().join(", ")
}

/// Returns how to raise the limits so that `workers` fit. Returns `None` if one cannot be raised so far.
fn raise_advice(limits: &[Limit], workers: u64) -> Option<String> {
    let commands: Vec<_> = limits.iter().map(|limit| limit.command_for(workers)).collect::<Option<_>>()?;
    let noun = if commands.len() == 1 { "limit" } else { "limits" };
    let commands: Vec<_> = commands.iter().map(|command| format!("`{command}`")).collect();
    Some(format!("raise the {noun} with {}", commands.join(" and ")))
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
    limits.extend(system_threads("kernel.threads-max", MAX_THREADS_MAX));
    limits.extend(system_threads("kernel.pid_max", MAX_PID_MAX));
    limits.extend(cgroup_threads());
    limits
}

/// `vm.max_map_count`.
fn mappings() -> Option<Limit> {
    let limit = sysctl("vm.max_map_count")?;
    let used = fs::read_to_string("/proc/self/maps").ok()?.lines().count() as u64;
    let reserved = used + SPARE_MAPPINGS;
    Some(Limit {
        per_worker: MAPPINGS_PER_THREAD,
        ..kernel_setting("vm.max_map_count", limit, reserved, MAX_MAP_COUNT)
    })
}

/// `RLIMIT_NOFILE`: each connection takes one file descriptor.
fn open_files(waiting: u64) -> Option<Limit> {
    let limit = Resource::NOFILE.get_soft().ok()?;
    Some(Limit {
        name: "the limit of open files".into(),
        value: limit,
        reserved: waiting + SPARE_FILES,
        per_worker: 1,
        ceiling: sysctl("fs.nr_open").unwrap_or(u64::MAX),
        raise_command: ("ulimit -n ".into(), String::new()),
        waiting,
    })
}

/// Returns the number of file descriptors that are free if `used` of them are taken by sessions and queued
/// connections.
pub(crate) fn spare_files(used: usize) -> usize {
    let limit =
        Resource::NOFILE.get_soft().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    limit.saturating_sub(used + RESERVED_FILES)
}

/// Returns how much more address space the process may use, in bytes. Returns `None` without a limit (`RLIMIT_AS`).
pub(crate) fn free_address_space() -> Option<u64> {
    let limit = Resource::AS.get_soft().ok().filter(|&limit| limit != u64::MAX)?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(limit.saturating_sub(status_number(&status, "VmSize:")? << 10))
}

/// `RLIMIT_NPROC`: all threads of a user. Does not apply to root.
fn user_threads() -> Option<Limit> {
    let limit = Resource::NPROC.get_soft().ok()?;
    let uid = status_number(&fs::read_to_string("/proc/self/status").ok()?, "Uid:")?;
    if uid == 0 || limit == u64::MAX {
        return None;
    }
    Some(Limit {
        name: "the limit of processes and threads of this user".into(),
        value: limit,
        reserved: threads_of(uid) + SPARE_THREADS,
        per_worker: 1,
        ceiling: u64::MAX,
        raise_command: ("ulimit -u ".into(), String::new()),
        waiting: 0,
    })
}

/// `kernel.threads-max` or `kernel.pid_max`, of which `ceiling` is the largest value: all threads of the system.
fn system_threads(name: &str, ceiling: u64) -> Option<Limit> {
    let limit = sysctl(name)?;
    // The fourth field of loadavg is "runnable/existing" threads, for example "2/345".
    let loads = fs::read_to_string("/proc/loadavg").ok()?;
    let used = loads.split_whitespace().nth(3)?.split_once('/')?.1.parse::<u64>().ok()?;
    Some(kernel_setting(name, limit, used + SPARE_THREADS, ceiling))
}

/// Returns a limit that `sysctl` sets and of which a worker uses one.
fn kernel_setting(name: &str, value: u64, reserved: u64, ceiling: u64) -> Limit {
    Limit {
        name: name.to_owned(),
        value,
        reserved,
        per_worker: 1,
        ceiling,
        raise_command: (format!("sysctl -w {name}="), String::new()),
        waiting: 0,
    }
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
        name: format!("pids.max of the control group {}", group.display()),
        value: limit,
        reserved: used + SPARE_THREADS,
        per_worker: 1,
        ceiling: MAX_PID_MAX,
        raise_command: ("echo ".into(), format!(" > {}/pids.max", group.display())),
        waiting: 0,
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

    fn limit(name: &str, max_workers: u64) -> Limit {
        kernel_setting(name, max_workers + 5, 5, 1000)
    }

    fn error_of(requested: Option<usize>, limits: Vec<Limit>) -> String {
        choose_workers(requested, 900, limits).unwrap_err().to_string()
    }

    #[test]
    fn requested_workers_start_or_fail_with_the_tightest_limit_first() {
        let limits = || vec![limit("wide", 20), limit("tight", 10), limit("widest", 2000)];
        assert_eq!(choose_workers(Some(10), 900, limits()).unwrap(), 10);
        assert_eq!(
            error_of(Some(30), limits()),
            "cannot start 30 workers: tight (15) allows 10, wide (25) allows 20; use --workers 10, \
             or raise the limits with `sysctl -w tight=35` and `sysctl -w wide=35`"
        );
        assert_eq!(
            error_of(Some(15), limits()),
            "cannot start 15 workers: tight (15) allows 10; use --workers 10, \
             or raise the limit with `sysctl -w tight=20`"
        );
        let impossible = error_of(Some(996), limits());
        assert!(impossible.ends_with("; use --workers 10"), "1000 is the largest value: {impossible}");
    }

    #[test]
    fn default_workers_are_lowered_to_the_limit() {
        assert_eq!(choose_workers(None, 900, vec![limit("tight", 10)]).unwrap(), 10);
        assert_eq!(choose_workers(None, 900, Vec::new()).unwrap(), 900);
        assert_eq!(
            error_of(None, vec![limit("tight", 0)]),
            "cannot start 900 workers: tight (5) allows none; raise the limit with `sysctl -w tight=905`"
        );
    }

    #[test]
    fn queue_is_shortened_if_it_leaves_no_place_for_workers() {
        let files = |value| Limit { waiting: 128, ..kernel_setting("files", value, 128 + 64, 2000) };
        let error = error_of(None, vec![files(104)]);
        assert!(
            error.contains("files (104) allows none beside --waiting 128; use --workers 30 --waiting 10, or")
        );
        let error = error_of(Some(7), vec![files(104)]);
        assert!(error.contains("; use --workers 7 --waiting 33, or"), "{error}");
        for too_few in [0, 64] {
            let error = error_of(None, vec![files(too_few)]);
            assert!(!error.contains("use --workers"), "{error}");
        }
    }

    #[test]
    fn limits_are_read_from_this_system() {
        let limits = limits(128);
        assert!(limits.iter().any(|limit| limit.name.starts_with("vm.max_map_count")), "{limits:?}");
        assert!(limits.iter().any(|limit| limit.name.contains("open files")), "{limits:?}");
    }
}
