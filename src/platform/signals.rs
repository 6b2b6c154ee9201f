//! Handlers of SIGINT, SIGTERM and SIGHUP.
//!
//! | signal | effect |
//! |---|---|
//! | SIGINT (Ctrl-C) | shuts the server down; after an earlier SIGINT or SIGTERM, exits the process |
//! | SIGTERM | shuts the server down; later ones change nothing, because supervisors signal groups of processes |
//! | SIGHUP | calls the handler that the caller gives |

use std::io;
use std::thread;

use log::info;
use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::Error;
use crate::logging;

/// Exit code after the SIGINT that ends the process at once: 128 + SIGINT, as shells report it.
const EXIT_INTERRUPTED: i32 = 130;

/// Installs the handlers for the lifetime of the process; to be called once, from `main`.
///
/// `stop` is called for each SIGINT and SIGTERM. It returns whether the call was the first one; if not, a
/// SIGINT exits the process with code 130. `on_hangup` is called for each SIGHUP. Both callbacks run on
/// signal threads, not in a signal handler. They must not block: signals would be handled late.
///
/// # Errors
///
/// [`Error::Signals`] if a handler or a signal thread cannot be created.
pub fn watch<S, H>(stop: S, on_hangup: H) -> Result<(), Error>
where
    S: Fn() -> bool + Clone + Send + 'static,
    H: Fn() + Send + 'static,
{
    let on_interrupt = stop.clone();
    ctrlc::set_handler(move || {
        if !on_interrupt() {
            logging::flush();
            std::process::exit(EXIT_INTERRUPTED);
        }
    })
    .map_err(|error| match error {
        ctrlc::Error::System(source) => Error::Signals(source),
        other => Error::Signals(io::Error::other(other)),
    })?;
    let mut signals = Signals::new([SIGTERM, SIGHUP]).map_err(Error::Signals)?;
    let dispatch = move || {
        for signal in signals.forever() {
            if signal == SIGHUP {
                on_hangup();
            } else if !stop() {
                info!("already shutting down; SIGINT (Ctrl-C) ends the process at once");
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(dispatch).map_err(Error::Signals)?;
    Ok(())
}
