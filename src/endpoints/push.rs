//! `/push`: sends messages at a fixed interval, without a request.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// Builds `/push`.
pub(super) fn build(parameters: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let interval = parameters.time("every");
    let count = parameters.number("count");
    let size = parameters.message_size("size", context.config.max_message)?;
    Ok(Route::upgrade(move |session| push(session, interval, count, size)))
}

/// Sends `count` messages (0: no limit), each of at least `size` bytes, one per interval. Discards received
/// messages.
fn push(
    session: &mut WebSocketSession,
    interval: Duration,
    count: u64,
    size: usize,
) -> Result<(), SessionEnd> {
    let mut due = Instant::now();
    for number in 1.. {
        session.send_text("", &message(number, size))?;
        if number == count {
            break;
        }
        // Intervals that were missed while the peer read slowly are skipped.
        due = (due + interval).max(Instant::now());
        session.discard_until(due)?;
    }
    Ok(())
}

/// Returns a message as JSON with its number and the time, padded to `size` bytes.
fn message(number: u64, size: usize) -> String {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let unpadded = json!({ "n": number, "time": time }).to_string();
    match size.checked_sub(unpadded.len() + r#","fill":"""#.len()) {
        None => unpadded,
        Some(padding) => json!({ "n": number, "time": time, "fill": "x".repeat(padding) }).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_message_is_padded_to_its_size() {
        assert_eq!(message(1, 500).len(), 500);
        assert!(message(1, 1).len() < 60);
    }
}
