//! Reads settings and counts of the system.

use std::fs;
use std::path::{Path, PathBuf};

use super::limit::Limit;

/// Returns a limit that `sysctl` sets and of which a worker or a connection uses one.
pub(super) fn kernel_setting(name: &str, value: u64, reserved: u64, ceiling: u64) -> Limit {
    Limit {
        name: name.to_owned(),
        value,
        reserved,
        each: 1,
        ceiling,
        raise_command: (format!("sysctl -w {name}="), String::new()),
        waiting: 0,
    }
}

/// Returns the folders of the control group of the process, for `controller`, and of its parents (cgroups v2
/// and v1).
pub(super) fn control_groups(controller: &str) -> Vec<PathBuf> {
    let Ok(own) = fs::read_to_string("/proc/self/cgroup") else { return Vec::new() };
    let mut groups = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let root = match controllers {
            "" => PathBuf::from("/sys/fs/cgroup"),
            names if names.split(',').any(|name| name == controller) => {
                Path::new("/sys/fs/cgroup").join(names)
            }
            _ => continue,
        };
        let parents = Path::new(group.trim_start_matches('/')).ancestors();
        groups.extend(parents.map(|group| root.join(group)));
    }
    groups
}

/// Reads a numeric kernel setting.
pub(super) fn sysctl(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name.replace('.', "/"))).ok()?.trim().parse().ok()
}

/// Returns the first number of the field `name` in `/proc/PID/status`.
pub(super) fn status_number(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}
