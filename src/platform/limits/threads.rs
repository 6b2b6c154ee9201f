//! How many worker threads the limits allow.

use std::fs;
use std::path::Path;

use rlimit::Resource;

use super::limit::{Fitted, Limit, choose};
use super::system::{control_groups, kernel_setting, status_number, sysctl};
use crate::error::{Error, Limited};

/// Memory mappings per thread: stack, signal stack and a guard page for each.
const MAPPINGS_PER_THREAD: u64 = 4;

/// Memory mappings reserved for libraries, allocator arenas and large messages.
const SPARE_MAPPINGS: u64 = 1024;

/// Threads reserved for everything but workers, in this process and in others.
const SPARE_THREADS: u64 = 64;

/// Largest values that the kernel accepts (`proc_sys_vm(5)`, `proc_sys_kernel(5)`).
const MAX_MAP_COUNT: u64 = i32::MAX as u64;

const MAX_THREADS_MAX: u64 = 0x3FFF_FFFF;
const MAX_PID_MAX: u64 = 1 << 22;

/// Returns the number of workers to start: `requested`, or without it `default` lowered to what the limits
/// allow, with a warning.
///
/// # Errors
/// [`Error::TooMany`] if the limits allow less than `requested`, or no worker at all.
pub fn fit_workers(requested: Option<usize>, default: usize) -> Result<Fitted, Error> {
    choose(Limited::Workers, requested, default, usize::MAX, thread_limits())
}

/// Returns all limits on threads that the system reports.
fn thread_limits() -> Vec<Limit> {
    let mut limits = Vec::new();
    limits.extend(mappings());
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
        each: MAPPINGS_PER_THREAD,
        ..kernel_setting("vm.max_map_count", limit, reserved, MAX_MAP_COUNT)
    })
}

/// Returns how much more address space the process may use, in bytes. Returns `None` without a limit
/// (`RLIMIT_AS`).
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
        each: 1,
        ceiling: u64::MAX,
        raise_command: ("ulimit -u ".into(), String::new()),
        waiting: 0,
    })
}

/// `kernel.threads-max` or `kernel.pid_max`, of which `ceiling` is the largest value: all threads of the
/// system.
fn system_threads(name: &str, ceiling: u64) -> Option<Limit> {
    let limit = sysctl(name)?;
    // The fourth field of loadavg is "runnable/existing" threads, for example "2/345".
    let loads = fs::read_to_string("/proc/loadavg").ok()?;
    let used = loads.split_whitespace().nth(3)?.split_once('/')?.1.parse::<u64>().ok()?;
    Some(kernel_setting(name, limit, used + SPARE_THREADS, ceiling))
}

/// `pids.max` of the control group of the process and of its parents.
fn cgroup_threads() -> Vec<Limit> {
    control_groups("pids").iter().filter_map(|group| pids_max(group)).collect()
}

/// `pids.max` of one control group.
fn pids_max(group: &Path) -> Option<Limit> {
    let number = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
    let (limit, used) = (number("pids.max")?, number("pids.current")?);
    Some(Limit {
        name: format!("pids.max of the control group {}", group.display()),
        value: limit,
        reserved: used + SPARE_THREADS,
        each: 1,
        ceiling: MAX_PID_MAX,
        raise_command: ("echo ".into(), format!(" > {}/pids.max", group.display())),
        waiting: 0,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_on_threads_are_read_from_this_system() {
        let limits = thread_limits();
        assert!(limits.iter().any(|limit| limit.name.starts_with("vm.max_map_count")), "{limits:?}");
    }
}
