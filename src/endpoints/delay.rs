//! `/delay`: echoes each message after a delay. The delays of several messages overlap.

use std::time::{Duration, Instant};

use super::backlog::Backlog;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::platform::random::Random;
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// Builds `/delay`.
pub(super) fn build(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let (delay, jitter) = (parameters.time("ms"), parameters.time("jitter"));
    if jitter > delay {
        return Err("jitter may be at most ms".to_owned());
    }
    Ok(Route::upgrade(move |session| echo_delayed(session, delay, jitter)))
}

/// Echoes each message between `delay - jitter` and `delay + jitter` after its receipt, in the order of
/// receipt.
fn echo_delayed(session: &mut WebSocketSession, delay: Duration, jitter: Duration) -> Result<(), SessionEnd> {
    let jitter_range = u64::try_from(jitter.as_micros() * 2).unwrap_or(u64::MAX);
    let mut random = Random::new();
    let mut backlog = Backlog::default();
    let mut due = Instant::now();
    loop {
        let (received_at, message) = backlog.next(session)?;
        let wait = delay.saturating_sub(jitter) + Duration::from_micros(random.range_inclusive(jitter_range));
        due = due.max(received_at + wait);
        backlog.wait_until(due, session)?;
        session.send(&message)?;
    }
}
