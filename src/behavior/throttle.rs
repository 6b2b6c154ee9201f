//! `/throttle`: a narrow line.

use std::time::{Duration, Instant};

use tungstenite::protocol::frame::coding::Data;

use super::backlog::Backlog;
use super::{Parameters, Plan, Setting};
use crate::conversation::{Conversation, parts_of};
use crate::ended::Ended;

/// Fragments a second, as long as they are of one byte at least and [`LARGEST_PART`] at most.
const PARTS_A_SECOND: usize = 20;

/// Largest fragment, in bytes.
const LARGEST_PART: usize = 16 << 10;

/// Waits shorter than this are saved up: the system's clock is not that exact.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// `/throttle`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn plan(given: &Parameters, _: &Setting) -> Result<Plan, String> {
    let rate = given.size("bytes").max(1);
    Ok(Plan::talk(move |conversation| echo_slowly(conversation, rate)))
}

/// Echoes at `rate` bytes of payload a second. A message comes in fragments, so that control frames can go between
/// them, however long it takes.
fn echo_slowly(conversation: &mut Conversation, rate: usize) -> Result<(), Ended> {
    let size = (rate / PARTS_A_SECOND).clamp(1, LARGEST_PART);
    let mut backlog = Backlog::default();
    let mut due = Instant::now();
    loop {
        let (arrived, message) = backlog.next(conversation)?;
        due = due.max(arrived);
        let (mut kind, payload) = parts_of(&message);
        let mut rest = payload;
        loop {
            let (part, tail) = rest.split_at(size.min(rest.len()));
            rest = tail;
            due += time_for(part.len(), rate);
            if due.saturating_duration_since(Instant::now()) >= SHORTEST_WAIT {
                backlog.wait_until(due, conversation)?;
            }
            conversation.send_fragment(kind, rest.is_empty(), part)?;
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
