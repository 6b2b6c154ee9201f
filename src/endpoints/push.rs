//! `/push`: sends messages at a fixed interval, without a request.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use tungstenite::Message;

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::endpoint::{Endpoint, Next};
use crate::session::websocket::WebSocketSession;

/// Sends messages, one per interval. Discards received messages.
struct Push {
    interval: Duration,
    /// Number of messages before Close 1000; 0: no limit.
    count: u64,
    /// Minimum size of a message, in bytes.
    size: usize,
    sent: u64,
    /// When the next message is due.
    due: Instant,
}

impl Endpoint for Push {
    fn on_open(&mut self, session: &mut WebSocketSession) -> Next {
        self.due = Instant::now();
        self.on_wake(session)
    }

    fn on_message(&mut self, _: &mut WebSocketSession, _: Message) -> Next {
        Next::Continue
    }

    fn on_wake(&mut self, session: &mut WebSocketSession) -> Next {
        self.sent += 1;
        session.send_text("", message(self.sent, self.size));
        if self.sent == self.count {
            return Next::Close(1000, String::new());
        }
        // Intervals that were missed while the peer read slowly are skipped.
        self.due = (self.due + self.interval).max(Instant::now());
        session.wake_at(self.due);
        Next::Continue
    }
}

/// Builds `/push`.
pub(super) fn build(parameters: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let interval = parameters.time("every");
    let count = parameters.number("count");
    let size = parameters.message_size("size", context.config.max_message)?;
    Ok(Route::upgrade(Push { interval, count, size, sent: 0, due: Instant::now() }))
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
