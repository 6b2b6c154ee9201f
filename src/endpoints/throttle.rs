//! `/throttle`: echoes at a limited rate.

use std::time::{Duration, Instant};

use tungstenite::protocol::frame::coding::Data;

use super::backlog::Backlog;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::end::SessionEnd;
use crate::session::websocket::{WebSocketSession, kind_and_payload};

/// Number of fragments per second, if they have at least 1 byte and at most [`MAX_FRAGMENT`] bytes.
const FRAGMENTS_PER_SECOND: usize = 20;

/// Maximum payload of a fragment, in bytes.
const MAX_FRAGMENT: usize = 16 << 10;

/// Shorter waits are added to the next one: timers of the system are not more exact than this.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// Builds `/throttle`.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let bytes_per_second = parameters.size("bytes").max(1);
    Ok(Route::upgrade(move |session| echo_throttled(session, bytes_per_second)))
}

/// Echoes with `bytes_per_second` of payload. Messages are fragmented, so that control frames can be sent
/// between the fragments of a message that takes long.
fn echo_throttled(session: &mut WebSocketSession, bytes_per_second: usize) -> Result<(), SessionEnd> {
    let size = (bytes_per_second / FRAGMENTS_PER_SECOND).clamp(1, MAX_FRAGMENT);
    let mut backlog = Backlog::default();
    let mut due = Instant::now();
    loop {
        let (received_at, message) = backlog.next(session)?;
        due = due.max(received_at);
        let (mut kind, mut rest) = kind_and_payload(&message);
        loop {
            let (fragment, tail) = rest.split_at(size.min(rest.len()));
            rest = tail;
            due += transmission_time(fragment.len(), bytes_per_second);
            if due.saturating_duration_since(Instant::now()) >= MIN_WAIT {
                backlog.wait_until(due, session)?;
            }
            session.send_fragment(kind, rest.is_empty(), fragment)?;
            if rest.is_empty() {
                break;
            }
            kind = Data::Continue;
        }
    }
}

/// Returns the time that `bytes` take at `bytes_per_second`.
fn transmission_time(bytes: usize, bytes_per_second: usize) -> Duration {
    let nanoseconds = bytes as u128 * 1_000_000_000 / bytes_per_second as u128;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}
