//! `/throttle`: echoes at a limited rate.

use std::time::{Duration, Instant};

use tungstenite::Message;

use super::backlog::Backlog;
use super::fragments::Fragments;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::endpoint::{Endpoint, Next};
use crate::session::websocket::WebSocketSession;

/// Number of fragments per second, if they have at least 1 byte and at most [`MAX_FRAGMENT`] bytes.
const FRAGMENTS_PER_SECOND: usize = 20;

/// Maximum payload of a fragment, in bytes.
const MAX_FRAGMENT: usize = 16 << 10;

/// Shorter waits are added to the next one: timers of the system are not more exact than this.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// Echoes with a rate of payload. Messages are fragmented, so that control frames can be sent between the
/// fragments of a message that takes long.
struct Throttle {
    bytes_per_second: usize,
    /// Payload of each fragment, in bytes.
    size: usize,
    backlog: Backlog<Instant>,
    /// The message that is being sent.
    current: Option<Fragments>,
    /// When all bytes sent so far are due.
    due: Instant,
}

impl Endpoint for Throttle {
    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next {
        self.backlog.push(session, Instant::now(), message);
        if self.current.is_none() { self.on_wake(session) } else { Next::Continue }
    }

    fn on_wake(&mut self, session: &mut WebSocketSession) -> Next {
        while session.has_room() {
            let Some(current) = &mut self.current else {
                let Some((received_at, message)) = self.backlog.pop(session) else { return Next::Continue };
                self.due = self.due.max(received_at);
                self.current = Some(Fragments::of(session, message));
                continue;
            };
            let due = self.due + transmission_time(current.next_length(self.size), self.bytes_per_second);
            if due.saturating_duration_since(Instant::now()) >= MIN_WAIT {
                session.wake_at(due);
                return Next::Continue;
            }
            self.due = due;
            if current.send_next(session, self.size) {
                self.current = None;
            }
        }
        session.wake_when_sent();
        Next::Continue
    }
}

/// Builds `/throttle`.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let bytes_per_second = parameters.size("bytes").max(1);
    let size = (bytes_per_second / FRAGMENTS_PER_SECOND).clamp(1, MAX_FRAGMENT);
    let (backlog, due) = (Backlog::default(), Instant::now());
    Ok(Route::upgrade(Throttle { bytes_per_second, size, backlog, current: None, due }))
}

/// Returns the time that `bytes` take at `bytes_per_second`.
fn transmission_time(bytes: usize, bytes_per_second: usize) -> Duration {
    let nanoseconds = bytes as u128 * 1_000_000_000 / bytes_per_second as u128;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}
