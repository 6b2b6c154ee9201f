//! What Ctrl-C, SIGTERM and SIGHUP do.
//!
//! | signal | effect |
//! |---|---|
//! | SIGINT (Ctrl-C), SIGTERM | stop; a second one ends the process at once |
//! | SIGHUP, with a certificate | read it again |
//! | SIGHUP, without one | stop, as for any program whose terminal is closed; ignored if it was ignored at the start, which is what `nohup` does |

use std::fs;
use std::io;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::Error;

/// Exit code after a second request to stop: 128 and the number of SIGINT, as shells report it.
const INTERRUPTED: i32 = 130;

/// What SIGHUP does instead of stopping the server.
pub type OnHangup = Box<dyn Fn() + Send>;

/// Watches the signals, for as long as the process lives. `stop` is called for each request to stop, and returns whether
/// that was the first one. For a program's `main`: signals belong to a whole process.
pub fn watch<S>(stop: S, on_hangup: Option<OnHangup>) -> Result<(), Error>
where
    S: Fn() -> bool + Clone + Send + 'static,
{
    let on_interrupt = stop.clone();
    ctrlc::set_handler(move || stop_or_end(&on_interrupt))
        .map_err(|error| Error::Signals(io::Error::other(error)))?;
    let wanted: &[_] =
        if on_hangup.is_some() || !hangups_are_ignored() { &[SIGTERM, SIGHUP] } else { &[SIGTERM] };
    let mut signals = Signals::new(wanted).map_err(Error::Signals)?;
    let wait = move || {
        for signal in signals.forever() {
            match &on_hangup {
                Some(on_hangup) if signal == SIGHUP => on_hangup(),
                _ => stop_or_end(&stop),
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(wait).map_err(Error::Signals)?;
    Ok(())
}

/// The first request stops the server, the second one the process.
fn stop_or_end(stop: &impl Fn() -> bool) {
    if !stop() {
        std::process::exit(INTERRUPTED);
    }
}

/// Whether this process was started with SIGHUP ignored. Tells only on Linux, from `proc(5)`; elsewhere `nohup` does
/// not keep the server from stopping.
fn hangups_are_ignored() -> bool {
    let ignored = fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    // The first signal has the lowest bit, and SIGHUP is the first.
    ignored.is_some_and(|mask| mask & 1 == 1)
}
