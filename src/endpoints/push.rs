//! `/push`: sends messages at a fixed interval, without a request.

use std::time::{Instant, SystemTime};

use serde_json::json;

use super::closures::Timed;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::endpoint::Next;
use crate::session::websocket::WebSocketSession;

/// Builds `/push`: sends `count` messages (0: no limit), each of at least `size` bytes, one per interval.
pub(super) fn build(parameters: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let interval = parameters.time("every");
    let count = parameters.number("count");
    let size = parameters.message_size("size", context.config.max_message)?;
    let (mut number, mut due) = (0, Instant::now());
    Ok(Route::upgrade(Timed(move |session: &mut WebSocketSession| {
        number += 1;
        session.send_text("", message(number, size));
        if number == count {
            return Next::Close(1000, String::new());
        }
        // Intervals that were missed while the peer read slowly are skipped.
        due = (due + interval).max(Instant::now());
        session.wake_at(due);
        Next::Continue
    })))
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
