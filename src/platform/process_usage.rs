//! What the process uses of the machine (`proc_pid_stat(5)`).

use std::fs;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Use of memory, descriptors, threads and processors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ProcessUsage {
    /// Resident memory, in bytes.
    pub(crate) resident_bytes: u64,
    /// Number of open descriptors.
    pub(crate) open_files: u64,
    /// Number of threads.
    pub(crate) threads: u64,
    /// CPU time, user and system, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Start of the process, in seconds since the epoch.
    pub(crate) started_at: f64,
}

impl ProcessUsage {
    /// Reads the present use. Returns `None` where there is no `/proc`.
    #[expect(clippy::cast_precision_loss, reason = "counts of clock ticks and bytes stay below 2^52")]
    pub(crate) fn read() -> Option<Self> {
        static STARTED_AT: OnceLock<f64> = OnceLock::new();
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The name in parentheses may contain anything. The field behind it is number 3.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let seconds = |ticks: u64| ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        // The numbers of proc_pid_stat(5).
        let (user_ticks, system_ticks, start_ticks) = (field(14)?, field(15)?, field(22)?);
        let (threads, resident_pages) = (field(20)?, field(24)?);
        Some(Self {
            resident_bytes: resident_pages * rustix::param::page_size() as u64,
            open_files: open_files()?,
            threads,
            cpu_seconds: seconds(user_ticks + system_ticks),
            // Computed once: the clock may be set, and the start must not move.
            started_at: *STARTED_AT.get_or_init(|| boot_time().unwrap_or_default() + seconds(start_ticks)),
        })
    }
}

/// Returns the number of open descriptors.
fn open_files() -> Option<u64> {
    const DIRECTORY: &str = "/proc/self/fd";
    // Since Linux 6.2 the size of the directory is the number of its entries. Before, it is 0.
    match fs::metadata(DIRECTORY).ok()?.len() {
        // One of the entries is the descriptor of the directory itself.
        0 => Some((fs::read_dir(DIRECTORY).ok()?.count() as u64).saturating_sub(1)),
        entries => Some(entries),
    }
}

/// Returns the time at which the system started, in seconds since the epoch.
fn boot_time() -> Option<f64> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime = uptime.split_whitespace().next()?.parse::<f64>().ok()?;
    Some(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64() - uptime)
}
