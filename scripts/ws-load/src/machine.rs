//! On what the generator runs, and what it used: figures without their machine say little.

use serde::Serialize;
use std::{fs, thread};

/// Clock ticks a second in `/proc`; Linux has shown 100 to programs for as long as it has had the file.
const TICKS: f64 = 100.0;

/// The machine of the generator. What cannot be found out is empty.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processor model.
    pub cpu: String,
    /// Cores this process may use.
    pub cores: usize,
    /// Kernel release.
    pub kernel: String,
    /// TCP congestion control, which moves figures on loopback too.
    pub congestion: String,
}

impl Machine {
    /// Looks around.
    #[must_use]
    pub fn here() -> Self {
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

impl std::fmt::Display for Machine {
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

/// CPU time this process has used, user and system, in seconds; `None` where the system does not say.
pub(super) fn cpu_seconds() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in brackets, may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((ticks(11)? / TICKS, ticks(12)? / TICKS))
}
