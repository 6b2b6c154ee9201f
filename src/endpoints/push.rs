//! `/push`: sends messages at a fixed interval, without a request.

use std::time::{Instant, SystemTime};

use serde_json::json;
use tungstenite::Bytes;

use super::closures::Timed;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use super::shared_block::SharedBlock;
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
        let (start, end) = message(number, size);
        session.send_text_parts(&start, &end);
        if number == count {
            return Next::Close(1000, String::new());
        }
        // Intervals that were missed while the peer read slowly are skipped.
        due = (due + interval).max(Instant::now());
        session.wake_at(due);
        Next::Continue
    })))
}

/// The end of a padded message: `x`, then the end of the string and of the object.
static PADDING: SharedBlock = SharedBlock::new(|size| {
    let mut padding = vec![b'x'; size];
    let end = size.saturating_sub(PADDING_END.len());
    padding.truncate(end);
    padding.extend(PADDING_END);
    padding
});

const PADDING_END: &[u8] = br#""}"#;

/// Returns a message as JSON with its number and the time, padded to `size` bytes, in two parts: large
/// padding is shared by all sessions.
fn message(number: u64, size: usize) -> (String, Bytes) {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let unpadded = json!({ "n": number, "time": time }).to_string();
    let padded = format!(r#"{},"fill":""#, unpadded.trim_end_matches('}'));
    match size.checked_sub(padded.len() + PADDING_END.len()) {
        None => (unpadded, Bytes::new()),
        Some(padding) => (padded, PADDING.last(padding + PADDING_END.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_message_is_padded_to_its_size() {
        for size in [1, 60, 100, 500, 5000] {
            let (start, end) = message(1, size);
            let text = [start.as_bytes(), &end].concat();
            assert!(text.len() == size || size <= 60 && end.is_empty(), "{} bytes for {size}", text.len());
            let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(json["n"], 1);
            assert!(json["fill"].as_str().unwrap_or_default().bytes().all(|byte| byte == b'x'));
        }
    }
}
