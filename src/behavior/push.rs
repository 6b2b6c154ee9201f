//! `/push`: a server that speaks first and on its own.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::{Parameters, Plan, Setting};
use crate::conversation::Conversation;
use crate::ended::Ended;

/// `/push`.
pub(super) fn plan(given: &Parameters, setting: &Setting) -> Result<Plan, String> {
    let every = given.time("every");
    let count = given.number("count");
    let size = given.message_size("size", setting.config.max_message)?;
    Ok(Plan::talk(move |conversation| push(conversation, every, count, size)))
}

/// Sends a message every so often, by the clock and not from the last one; `count` of them, or without end.
fn push(conversation: &mut Conversation, every: Duration, count: u64, size: usize) -> Result<(), Ended> {
    let mut due = Instant::now();
    for n in 1.. {
        conversation.send_text("", &message(n, size))?;
        if n == count {
            break;
        }
        // A peer that read too slowly for a while is not sent all at once what it missed.
        due = (due + every).max(Instant::now());
        conversation.ignore_until(due)?;
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
