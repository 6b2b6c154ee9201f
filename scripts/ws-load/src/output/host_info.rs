//! The host of the load generator, and the CPU time it used. Figures of different hosts cannot be compared.

use serde::{Deserialize, Serialize};
use std::{fs, thread};

/// Clock ticks per second in `/proc` (`USER_HZ`, always 100 on Linux).
const TICKS: f64 = 100.0;

/// The host of the load generator. What cannot be determined is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInfo {
    /// Processor model.
    pub cpu: String,
    /// Number of processors that this process may use.
    pub cores: usize,
    /// Kernel release.
    pub kernel: String,
    /// TCP congestion control. It affects figures on loopback as well.
    pub congestion: String,
}

impl HostInfo {
    /// Reads the information from `/proc`.
    #[must_use]
    pub fn detect() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            cpu: model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            congestion: first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
        }
    }
}

impl std::fmt::Display for HostInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cpu, cores, kernel, congestion } = self;
        write!(f, "{cores} cores of {cpu}")?;
        if !kernel.is_empty() {
            write!(f, ", Linux {kernel}")?;
        }
        if !congestion.is_empty() {
            write!(f, ", {congestion}")?;
        }
        Ok(())
    }
}

fn first_line(path: &str) -> String {
    fs::read_to_string(path).ok().and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_default()
}

/// Returns the CPU time of this process in seconds, user and system. `None` if the system does not report it.
pub(crate) fn cpu_seconds() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, may contain spaces.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((ticks(11)? / TICKS, ticks(12)? / TICKS))
}
