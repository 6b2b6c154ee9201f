//! The queue between the threads that log and the thread that writes their lines.

use std::io::Write;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Maximum size of the lines that wait, in bytes: about 10,000 lines. As much again may be in the hands of
/// the writing thread. Lines stand one behind the other, so that their number needs no limit of its own.
const CAPACITY: usize = 1 << 20;

/// Buffers above this size, in bytes, are freed after they were written.
const KEPT_BUFFER: usize = 64 << 10;

/// A bounded queue of log lines. Adding a line never waits for the thread that writes.
#[derive(Debug, Default)]
pub(super) struct LineQueue {
    state: Mutex<QueueState>,
    /// Notified when there is something to write and the writing thread waits.
    filled: Condvar,
    /// Notified when all lines were written.
    emptied: Condvar,
    /// Lines that did not fit or could not be written, since the start.
    dropped_total: AtomicU64,
}

/// The part of [`LineQueue`] behind the lock, which is held for no longer than it takes to copy a line.
#[derive(Debug, Default)]
struct QueueState {
    /// Whole lines, oldest first.
    pending: Vec<u8>,
    /// Lines dropped behind `pending`.
    dropped: u64,
    /// The writing thread waits for lines. If it does not wait, it writes, or has not started yet.
    is_idle: bool,
}

impl LineQueue {
    /// Adds a line with its line feed, or drops it if it does not fit or there is no memory for it. Never
    /// blocks.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        let fits = state.dropped == 0 && state.pending.len() + line.len() <= CAPACITY;
        if fits && state.pending.try_reserve(line.len()).is_ok() {
            state.pending.extend_from_slice(line);
        } else {
            state.dropped += 1;
            self.dropped_total.fetch_add(1, Relaxed);
        }
        if mem::take(&mut state.is_idle) {
            self.filled.notify_one();
        }
    }

    /// Returns the number of dropped lines since the start.
    pub(super) fn dropped_total(&self) -> u64 {
        self.dropped_total.load(Relaxed)
    }

    /// Writes lines to `output` as they come, and calls `report` with the number of lines that were dropped
    /// after those. Never returns. One thread calls this.
    pub(super) fn write_to(&self, mut output: impl Write, report: impl Fn(u64)) -> ! {
        let mut lines = Vec::new();
        loop {
            let dropped = self.take(&mut lines);
            if output.write_all(&lines).and_then(|()| output.flush()).is_err() {
                let lost = lines.split_inclusive(|&byte| byte == b'\n').count() as u64;
                self.dropped_total.fetch_add(lost, Relaxed);
            }
            if dropped > 0 {
                report(dropped);
            }
        }
    }

    /// Blocks until lines wait or were dropped. Moves them to `lines`, whose content was written; returns the
    /// number of dropped lines.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        lines.clear();
        if lines.capacity() > KEPT_BUFFER {
            *lines = Vec::new();
        }
        let mut state = self.lock();
        while state.pending.is_empty() && state.dropped == 0 {
            state.is_idle = true;
            self.emptied.notify_all();
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_idle = false;
        mem::swap(lines, &mut state.pending);
        mem::take(&mut state.dropped)
    }

    /// Blocks until all lines were written, for at most `timeout`. Returns whether they were.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .emptied
            .wait_timeout_while(state, timeout, |state| !state.is_idle)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_idle
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::thread;

    use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(20);

    /// Passes each write to a channel of capacity 0: blocks until the test receives it.
    struct Stalled(Sender<Vec<u8>>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Starts a writing thread. Returns the queue, what it writes and what it reports.
    fn start() -> (Arc<LineQueue>, Receiver<Vec<u8>>, Receiver<u64>) {
        let queue = Arc::new(LineQueue::default());
        let (output, written) = bounded(0);
        let (report, reported) = unbounded();
        let writer = Arc::clone(&queue);
        thread::spawn(move || writer.write_to(Stalled(output), move |dropped| report.send(dropped).unwrap()));
        (queue, written, reported)
    }

    #[test]
    fn log_queue_drops_and_counts_what_does_not_fit() {
        let (queue, written, reported) = start();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let all = 4 * CAPACITY / line.len();
        for _ in 0..all {
            queue.push(&line);
        }
        assert!(!queue.flush(Duration::ZERO), "nothing was written");
        let dropped = queue.dropped_total();
        assert!(queue.lock().pending.len() <= CAPACITY);
        let mut bytes = 0;
        while reported.is_empty() {
            bytes += written.recv_timeout(Duration::from_millis(10)).map_or(0, |lines| lines.len());
        }
        assert_eq!(reported.recv_timeout(TIMEOUT), Ok(dropped));
        assert_eq!(bytes / line.len() + usize::try_from(dropped).unwrap(), all);
        queue.push(b"after\n");
        assert_eq!(written.recv_timeout(TIMEOUT).unwrap(), b"after\n");
        assert!(queue.flush(TIMEOUT) && reported.is_empty());
    }

    #[test]
    fn log_queue_counts_lines_that_cannot_be_written() {
        let (queue, written, _) = start();
        drop(written);
        queue.push(b"one\n");
        assert!(queue.flush(TIMEOUT));
        assert_eq!(queue.dropped_total(), 1);
    }
}
