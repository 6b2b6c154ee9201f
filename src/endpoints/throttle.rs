//! `/throttle`: a narrow line.

use std::time::{Duration, Instant};

use tungstenite::protocol::frame::coding::Data;

use super::backlog::Backlog;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::end::SessionEnd;
use crate::session::websocket::{WebSocketSession, opcode_and_payload};

/// Fragments a second, as long as they are of one byte at least and [`LARGEST_PART`] at most.
const PARTS_A_SECOND: usize = 20;

/// Largest fragment, in bytes.
const LARGEST_PART: usize = 16 << 10;

/// Waits shorter than this are saved up: the system's clock is not that exact.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// `/throttle`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn build(given: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let rate = given.size("bytes").max(1);
    Ok(Route::upgrade(move |session| echo_slowly(session, rate)))
}

/// Echoes at `rate` bytes of payload a second. A message comes in fragments, so that control frames can go between
/// them, however long it takes.
fn echo_slowly(session: &mut WebSocketSession, rate: usize) -> Result<(), SessionEnd> {
    let size = (rate / PARTS_A_SECOND).clamp(1, LARGEST_PART);
    let mut backlog = Backlog::default();
    let mut due = Instant::now();
    loop {
        let (arrived, message) = backlog.next(session)?;
        due = due.max(arrived);
        let (mut kind, payload) = opcode_and_payload(&message);
        let mut rest = payload;
        loop {
            let (part, tail) = rest.split_at(size.min(rest.len()));
            rest = tail;
            due += time_for(part.len(), rate);
            if due.saturating_duration_since(Instant::now()) >= SHORTEST_WAIT {
                backlog.wait_until(due, session)?;
            }
            session.send_fragment(kind, rest.is_empty(), part)?;
            if rest.is_empty() {
                break;
            }
            kind = Data::Continue;
        }
    }
}

/// How long that many bytes take.
fn time_for(bytes: usize, rate: usize) -> Duration {
    Duration::from_nanos(u64::try_from(bytes as u128 * 1_000_000_000 / rate as u128).unwrap_or(u64::MAX))
}
