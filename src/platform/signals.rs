//! Handlers of SIGINT, SIGTERM and SIGHUP.
//!
//! | signal | effect |
//! |---|---|
//! | SIGINT (Ctrl-C), SIGTERM | shuts the server down; the second one exits the process |
//! | SIGHUP with a certificate | reloads the certificate |
//! | SIGHUP without a certificate | as SIGTERM; ignored if it was ignored at the start, as under `nohup` |

use std::fs;
use std::io;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::Error;

/// Exit code after the second signal: 128 + SIGINT, as shells report it.
const EXIT_INTERRUPTED: i32 = 130;

/// Handler of SIGHUP that replaces the shutdown.
pub type OnHangup = Box<dyn Fn() + Send>;

/// Installs the handlers for the lifetime of the process; to be called once, from `main`.
///
/// `stop` is called for each signal that shuts the server down. It returns whether the call was the first
/// one; if not, the process exits with code 130. Both callbacks run on a signal thread, not in a signal
/// handler.
///
/// # Errors
///
/// [`Error::Signals`] if a handler or the signal thread cannot be created.
pub fn watch<S>(stop: S, on_hangup: Option<OnHangup>) -> Result<(), Error>
where
    S: Fn() -> bool + Clone + Send + 'static,
{
    let on_interrupt = stop.clone();
    ctrlc::set_handler(move || stop_or_exit(&on_interrupt))
        .map_err(|error| Error::Signals(io::Error::other(error)))?;
    let handled: &[_] =
        if on_hangup.is_some() || !is_sighup_ignored() { &[SIGTERM, SIGHUP] } else { &[SIGTERM] };
    let mut signals = Signals::new(handled).map_err(Error::Signals)?;
    let dispatch = move || {
        for signal in signals.forever() {
            match &on_hangup {
                Some(on_hangup) if signal == SIGHUP => on_hangup(),
                _ => stop_or_exit(&stop),
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(dispatch).map_err(Error::Signals)?;
    Ok(())
}

/// Shuts the server down at the first call and exits the process at the second.
fn stop_or_exit(stop: &impl Fn() -> bool) {
    if !stop() {
        std::process::exit(EXIT_INTERRUPTED);
    }
}

/// Returns whether SIGHUP is ignored (proc(5)). Always false outside Linux, where `nohup` therefore has no
/// effect.
fn is_sighup_ignored() -> bool {
    let ignored = fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    // Bit 0 is signal 1, SIGHUP.
    ignored.is_some_and(|mask| mask & 1 == 1)
}
