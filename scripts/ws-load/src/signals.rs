//! The signals that end a run. A module of the program, not of the library.

use crossbeam_channel::{Receiver, bounded};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{fs, io, process, thread};
use ws_load::INTERRUPTED;

/// Returns a channel that receives a message at the first SIGINT, SIGTERM or SIGHUP. The second signal ends
/// the process with [`INTERRUPTED`].
///
/// # Errors
///
/// Returns an error if the system refuses a signal handler or a thread.
pub(crate) fn stop_on_signal() -> io::Result<Receiver<()>> {
    let mut wanted = vec![SIGINT, SIGTERM];
    if !is_hangup_ignored() {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted)?;
    let (sender, receiver) = bounded(1);
    thread::Builder::new().name("signals".into()).spawn(move || {
        let mut is_second = false;
        for _ in signals.forever() {
            if is_second {
                process::exit(i32::from(INTERRUPTED));
            }
            is_second = true;
            // Cannot be full: this is the first message.
            let _ = sender.try_send(());
        }
    })?;
    Ok(receiver)
}

/// Returns whether this process was started with SIGHUP ignored, as `nohup` does.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 1)
}
