//! Fields of `/proc/PID/status` (`proc_pid_status(5)`).

use std::fs;

/// A process whose status is read.
#[derive(Clone, Copy)]
pub struct ProcStatus(pub u32);

impl ProcStatus {
    /// Resident memory in bytes.
    pub fn resident(self) -> u64 {
        self.field("VmRSS:") << 10
    }

    /// Peak of the resident memory in bytes, since the start or since [`Self::reset_peak`].
    pub fn peak(self) -> u64 {
        self.field("VmHWM:") << 10
    }

    /// Resident memory that holds files, such as the program itself, in bytes.
    pub fn resident_files(self) -> u64 {
        self.field("RssFile:") << 10
    }

    /// Address space in bytes.
    pub fn virtual_size(self) -> u64 {
        self.field("VmSize:") << 10
    }

    /// Number of threads.
    pub fn threads(self) -> u64 {
        self.field("Threads:")
    }

    /// Sets the peak of the resident memory to its present value (`proc_pid_clear_refs(5)`).
    pub fn reset_peak(self) {
        fs::write(format!("/proc/{}/clear_refs", self.0), "5").unwrap();
    }

    /// Returns the number behind the name of a field; memory is in KiB.
    fn field(self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        let value = value.unwrap_or_else(|| panic!("no {name} in {status}"));
        value.split_whitespace().next().unwrap().parse().unwrap()
    }
}

#[test]
fn proc_status_reads_memory_and_threads() {
    let status = ProcStatus(std::process::id());
    assert!(status.resident() > 1 << 20 && status.peak() >= status.resident_files());
    assert!(status.threads() >= 1);
}
