//! `/push`: a server that speaks first and on its own.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// `/push`.
pub(super) fn build(given: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let every = given.time("every");
    let count = given.number("count");
    let size = given.message_size("size", context.config.max_message)?;
    Ok(Route::upgrade(move |session| push(session, every, count, size)))
}

/// Sends a message every so often, by the clock and not from the last one; `count` of them, or without end.
fn push(session: &mut WebSocketSession, every: Duration, count: u64, size: usize) -> Result<(), SessionEnd> {
    let mut due = Instant::now();
    for n in 1.. {
        session.send_text("", &message(n, size))?;
        if n == count {
            break;
        }
        // A peer that read too slowly for a while is not sent all at once what it missed.
        due = (due + every).max(Instant::now());
        session.discard_until(due)?;
    }
    Ok(())
}

/// The message of that number: JSON, filled up to `size` bytes.
fn message(n: u64, size: usize) -> String {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let bare = json!({ "n": n, "time": time }).to_string();
    match size.checked_sub(bare.len() + r#","fill":"""#.len()) {
        None => bare,
        Some(fill) => json!({ "n": n, "time": time, "fill": "x".repeat(fill) }).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_filled_up_to_its_size() {
        assert_eq!(message(1, 500).len(), 500);
        assert!(message(1, 1).len() < 60);
    }
}
