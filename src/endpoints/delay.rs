//! `/delay`: a slow line. Each message waits on its own, so many can be on their way at once.

use std::time::{Duration, Instant};

use super::backlog::Backlog;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::platform::random::Random;
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// `/delay`.
pub(super) fn build(given: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let (delay, jitter) = (given.time("ms"), given.time("jitter"));
    if jitter > delay {
        return Err("jitter may be at most ms, since no echo comes before its message".to_owned());
    }
    Ok(Route::upgrade(move |session| echo_later(session, delay, jitter)))
}

/// Echoes each message after `delay`, give or take `jitter`. None overtakes another.
fn echo_later(session: &mut WebSocketSession, delay: Duration, jitter: Duration) -> Result<(), SessionEnd> {
    let spread = u64::try_from(jitter.as_micros() * 2).unwrap_or(u64::MAX);
    let mut random = Random::new();
    let mut backlog = Backlog::default();
    let mut due = Instant::now();
    loop {
        let (arrived, message) = backlog.next(session)?;
        let wait = delay.saturating_sub(jitter) + Duration::from_micros(random.range_inclusive(spread));
        due = due.max(arrived + wait);
        backlog.wait_until(due, session)?;
        session.send(&message)?;
    }
}
