//! How long a connection lasts after a Close of the server, if the peer does not end it.

use std::time::Duration;

use crate::config::Config;
use crate::session::handle::SessionHandle;
use crate::transport::phase::Phase;
use crate::transport::termination::TerminationReason;

/// Time for a peer to end its side after the server has ended its own.
pub(super) const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns how long a connection may be in `phase`, which is closing or a later one. `None`: until the drain
/// deadline, for the Close of the drain itself.
pub(super) fn close_timeout(
    handle: &SessionHandle,
    phase: Phase,
    config: &Config,
    draining: bool,
) -> Option<Duration> {
    timeout_of(phase, handle.termination_reason(), handle.writer().has_unsent(), config, draining)
}

/// A stop does not wait for a peer that was closed for an error. That peer owes no Close (RFC 6455, 7.1.7),
/// and gets the time in which the Close of the server arrives.
fn timeout_of(
    phase: Phase,
    reason: Option<TerminationReason>,
    unsent: bool,
    config: &Config,
    draining: bool,
) -> Option<Duration> {
    let is_error = reason.is_some_and(TerminationReason::is_error);
    match phase {
        Phase::Lingering => Some(LINGER_TIMEOUT),
        Phase::Failed if draining => Some(LINGER_TIMEOUT.min(config.close_timeout)),
        Phase::Closing if draining && is_error && !unsent => Some(LINGER_TIMEOUT.min(config.close_timeout)),
        Phase::Closing if reason.is_some_and(TerminationReason::is_stop) => None,
        _ => Some(config.close_timeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_after_a_close_depends_during_the_drain_on_the_close() {
        let config = Config::default();
        let (linger, close) = (Some(LINGER_TIMEOUT), Some(config.close_timeout));
        for (phase, reason, unsent, before, draining) in [
            (Phase::Closing, None, false, close, close),
            (Phase::Closing, Some(TerminationReason::Idle), false, close, close),
            (Phase::Closing, Some(TerminationReason::RoomsLost), false, close, close),
            (Phase::Closing, Some(TerminationReason::MessageTimeout), false, close, linger),
            (Phase::Closing, Some(TerminationReason::TooSlow), false, close, linger),
            (Phase::Closing, Some(TerminationReason::TooSlow), true, close, close),
            (Phase::Closing, Some(TerminationReason::Shutdown), false, None, None),
            (Phase::Closing, Some(TerminationReason::Restart), true, None, None),
            (Phase::Failed, None, false, close, linger),
            (Phase::Failed, Some(TerminationReason::Shutdown), false, close, linger),
            (Phase::Lingering, Some(TerminationReason::Shutdown), false, linger, linger),
        ] {
            let timeouts = [false, true].map(|now| timeout_of(phase, reason, unsent, &config, now));
            assert_eq!(timeouts, [before, draining], "{phase:?} {reason:?} {unsent}");
        }
    }

    #[test]
    fn close_timeout_shorter_than_the_linger_timeout_holds_during_the_drain() {
        let config = Config { close_timeout: Duration::from_millis(10), ..Config::default() };
        assert_eq!(timeout_of(Phase::Failed, None, false, &config, true), Some(config.close_timeout));
    }
}
