//! `/delay`: echoes each message after a delay. The delays of several messages overlap.

use std::time::{Duration, Instant};

use tungstenite::Message;

use super::backlog::Backlog;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::platform::random::Random;
use crate::session::endpoint::{Endpoint, Next};
use crate::session::websocket::WebSocketSession;

/// Echoes each message between `mean - jitter` and `mean + jitter` after its receipt, in the order of
/// receipt.
struct Delay {
    mean: Duration,
    jitter: Duration,
    random: Random,
    /// Messages with the times at which they are due.
    backlog: Backlog<Instant>,
    /// When the last message is due.
    last_due: Instant,
}

impl Endpoint for Delay {
    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next {
        let jitter_range = u64::try_from(self.jitter.as_micros() * 2).unwrap_or(u64::MAX);
        let jitter = Duration::from_micros(self.random.range_inclusive(jitter_range));
        let due = Instant::now() + self.mean.saturating_sub(self.jitter) + jitter;
        self.last_due = due.max(self.last_due);
        self.backlog.push(session, self.last_due, message);
        self.on_wake(session)
    }

    fn on_wake(&mut self, session: &mut WebSocketSession) -> Next {
        while let Some(&due) = self.backlog.first() {
            if due > Instant::now() || !session.has_room() {
                session.wake_at(due);
                break;
            }
            if let Some((_, message)) = self.backlog.pop(session) {
                session.send(message);
            }
        }
        Next::Continue
    }
}

/// Builds `/delay`.
pub(super) fn build(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let (delay, jitter) = (parameters.time("ms"), parameters.time("jitter"));
    if jitter > delay {
        return Err("jitter may be at most ms".to_owned());
    }
    let (random, backlog, last_due) = (Random::new(), Backlog::default(), Instant::now());
    Ok(Route::upgrade(Delay { mean: delay, jitter, random, backlog, last_due }))
}
