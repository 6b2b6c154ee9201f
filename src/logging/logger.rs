//! The logger of the process. No thread that logs waits for standard error: a thread of its own writes the
//! lines.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::env;
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use env_logger::{Builder, Target, WriteStyle};
use log::{Level, Log, Record, error};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::format::LogFormat;
use super::queue::LineQueue;

/// Maximum time of [`flush`]. A reader that takes nothing for this long has stalled.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Size of the stack of the thread `log`, in bytes of address space.
const STACK_SIZE: usize = 128 << 10;

/// The lines that wait for the thread `log`. Not set before [`start`].
static QUEUE: OnceLock<Arc<LineQueue>> = OnceLock::new();

/// Starts logging to standard error for the lifetime of the process, and logs panics too. `RUST_LOG` is the
/// filter; the default is `info`. No effect if a logger is installed.
///
/// The thread that logs a line formats it, because the line may borrow its values. The thread `log` writes
/// it. Up to 1 MiB of lines wait; further ones are dropped and counted ([`dropped_lines`]).
pub fn start(format: LogFormat) {
    let queue = Arc::new(LineQueue::default());
    // Used by the thread `log` without the queue: the line about dropped lines stands where they are missing.
    let direct = queued_builder(format, StandardError).build();
    let report = move |dropped: u64| {
        let args = format_args!("{dropped} log lines dropped: standard error was not read in time");
        let fields = ("dropped", dropped);
        let mut line = Record::builder();
        direct
            .log(&line.level(Level::Warn).target("ws_echo::logging").key_values(&fields).args(args).build());
    };
    let writer = Arc::clone(&queue);
    let thread = thread::Builder::new().name("log".into()).stack_size(STACK_SIZE);
    let mut builder = match thread.spawn(move || writer.write_to(StandardError, report)) {
        Ok(_) => {
            let queue = QUEUE.get_or_init(|| queue);
            queued_builder(format, QueuedLines(Arc::clone(queue)))
        }
        // Without the thread, each thread writes its own lines.
        Err(_) => format.builder(),
    };
    if builder.try_init().is_ok() {
        let default_hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if format == LogFormat::Text && is_ready() { default_hook(info) } else { log_panic(info) }
        }));
    }
}

/// Returns the number of log lines since the start that were dropped, because standard error was not read in
/// time, or that could not be written.
#[must_use]
pub fn dropped_lines() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.dropped_total())
}

/// Blocks until all lines were written, for at most a second. To be called before the process ends.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(FLUSH_TIMEOUT);
    }
}

/// Writes a line to standard error as it is, behind all log lines. Blocks as [`flush`] does.
pub fn write_line(line: &str) {
    match QUEUE.get() {
        Some(queue) if !queue.flush(FLUSH_TIMEOUT) || !is_ready() => {
            queue.push(format!("{line}\n").as_bytes());
        }
        // Standard error may be closed.
        _ => drop(writeln!(io::stderr(), "{line}")),
    }
}

/// Returns whether standard error takes a line without blocking: a pipe with room takes 4 KiB (`pipe(7)`).
fn is_ready() -> bool {
    poll(&mut [PollFd::new(&io::stderr(), PollFlags::OUT)], Some(&Timespec::default()))
        .is_ok_and(|ready| ready > 0)
}

/// Returns a builder for lines that go to `output`, in colour if standard error is a terminal with colours.
fn queued_builder(format: LogFormat, output: impl Write + Send + 'static) -> Builder {
    let mut builder = format.builder();
    builder.target(Target::Pipe(Box::new(output)));
    // env_logger decides on the colours of standard error itself, but not on those of a pipe.
    let is_set = matches!(env::var("RUST_LOG_STYLE").as_deref(), Ok("always" | "never"));
    if !is_set && AutoStream::choice(&io::stderr()) != ColorChoice::Never {
        builder.write_style(WriteStyle::Always);
    }
    builder
}

/// Logs a panic through the queue: the default hook would wait for standard error, and does not write JSON.
fn log_panic(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let message = info.payload_as_str().unwrap_or("a value that is not text");
    let place = info.location().map(|location| format!(" at {location}")).unwrap_or_default();
    // Captured if RUST_BACKTRACE is set.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        error!(target: "ws_echo", "thread {name} panicked{place}: {message}\n{backtrace}");
    } else {
        error!(target: "ws_echo", "thread {name} panicked{place}: {message}");
    }
    if name == "main" {
        flush();
    }
}

/// Adds each line to the queue. `env_logger` writes a whole line at once.
struct QueuedLines(Arc<LineQueue>);

impl Write for QueuedLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard error. Waits until it takes bytes, even if another process has made it non-blocking.
struct StandardError;

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match io::stderr().write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&io::stderr(), PollFlags::OUT)], None)?;
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
