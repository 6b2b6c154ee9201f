//! What Ctrl-C, SIGTERM and SIGHUP do.
//!
//! | signal | effect |
//! |---|---|
//! | SIGINT (Ctrl-C), SIGTERM | stop; a second one ends the process at once |
//! | SIGHUP, with a certificate | read it again |
//! | SIGHUP, without one | stop, as for any program whose terminal is closed; ignored if it was ignored at the start, which is what `nohup` does |

use std::fs;
use std::io;
use std::sync::Arc;
use std::thread;

use log::error;
use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;

use crate::certificate::Certificate;
use crate::error::Error;
use crate::stop::Stop;

/// Exit code after a second request to stop: 128 and the number of SIGINT, as shells report it.
const INTERRUPTED: i32 = 130;

/// Watches the signals, for as long as the process lives. For a program's `main`: signals belong to a whole process.
pub fn watch(stop: &Stop, certificate: Option<Arc<Certificate>>) -> Result<(), Error> {
    let on_interrupt = stop.clone();
    ctrlc::set_handler(move || stop_or_end(&on_interrupt))
        .map_err(|error| Error::Signals(io::Error::other(error)))?;
    let wanted: &[_] =
        if certificate.is_some() || !hangups_are_ignored() { &[SIGTERM, SIGHUP] } else { &[SIGTERM] };
    let mut signals = Signals::new(wanted).map_err(Error::Signals)?;
    let stop = stop.clone();
    let wait = move || {
        for signal in signals.forever() {
            match &certificate {
                Some(certificate) if signal == SIGHUP => reload(certificate),
                _ => stop_or_end(&stop),
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(wait).map_err(Error::Signals)?;
    Ok(())
}

/// The first request stops the server, the second one the process.
fn stop_or_end(stop: &Stop) {
    if !stop.request() {
        std::process::exit(INTERRUPTED);
    }
}

/// Reads the certificate again; one that is no good changes nothing.
fn reload(certificate: &Certificate) {
    if let Err(error) = certificate.reload() {
        error!("{error}; the certificate in use stays");
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
