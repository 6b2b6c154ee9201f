//! How long this thread waited for a processor although it could have run.

use std::{fs, time::Duration};

/// The run-queue delay of the calling thread, from `/proc/thread-self/schedstat`.
#[derive(Debug, Default)]
pub(super) struct RunQueueDelay {
    /// The delay since the start of the thread, in nanoseconds, at the last reading.
    last: Option<u64>,
}

impl RunQueueDelay {
    /// Returns the delay since the last call from this thread. `None` at the first call, and if the system
    /// does not report it.
    pub(super) fn take(&mut self) -> Option<Duration> {
        let now = read();
        let last = std::mem::replace(&mut self.last, now);
        Some(Duration::from_nanos(now?.saturating_sub(last?)))
    }
}

/// Reads the second field: nanoseconds on the run queue without running.
fn read() -> Option<u64> {
    let fields = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    fields.split_whitespace().nth(1)?.parse().ok()
}
