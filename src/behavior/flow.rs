//! `/source` and `/sink`: throughput one way.

use std::time::Instant;

use serde_json::json;
use tungstenite::Message;

use super::{Parameters, Plan, Setting};
use crate::conversation::Conversation;
use crate::ended::Ended;
use crate::random::Random;

/// Bytes after which the source looks whether its peer has something to say: a Ping, or a Close.
const LOOK_EVERY: usize = 256 << 10;

/// Most messages between two such looks.
const LOOK_AFTER: usize = 64;

/// `/source`.
pub(super) fn plan_source(given: &Parameters, setting: &Setting) -> Result<Plan, String> {
    let size = given.message_size("size", setting.config.max_message)?;
    let count = given.number("count");
    Ok(Plan::talk(move |conversation| source(conversation, size, count)))
}

/// Sends `count` messages as fast as the peer takes them, and then says how fast that was.
fn source(conversation: &mut Conversation, size: usize, count: u64) -> Result<(), Ended> {
    // Random bytes, so that compression on the way does not flatter the figure.
    let message = Message::binary(Random::new().bytes(size));
    let mut meter = Meter::start();
    let (mut bytes, mut messages) = (0, 0);
    for _ in 0..count {
        conversation.send(&message)?;
        meter.note(size);
        (bytes, messages) = (bytes + size, messages + 1);
        if bytes >= LOOK_EVERY || messages == LOOK_AFTER {
            (bytes, messages) = (0, 0);
            conversation.ignore_until(Instant::now())?;
        }
    }
    conversation.ignore_until(Instant::now())?;
    conversation.send_text("", &meter.summary())
}

/// `/sink`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn plan_sink(given: &Parameters, _: &Setting) -> Result<Plan, String> {
    let count = given.number("count");
    Ok(Plan::talk(move |conversation| {
        loop {
            sink(conversation, count)?;
        }
    }))
}

/// Takes messages until an empty one comes, or until there were `count`, and then says how fast that was.
fn sink(conversation: &mut Conversation, count: u64) -> Result<(), Ended> {
    let mut message = conversation.receive()?;
    // The clock starts with the first message, whose own way is therefore not in the figure.
    let mut meter = Meter::start();
    while !message.is_empty() {
        meter.note(message.len());
        if meter.messages == count {
            break;
        }
        message = conversation.receive()?;
    }
    conversation.send_text("", &meter.summary())
}

/// What has gone one way, and since when.
struct Meter {
    /// When it began.
    since: Instant,
    /// Messages so far.
    messages: u64,
    /// Their payload, in bytes.
    bytes: u64,
}

impl Meter {
    /// Begins now.
    fn start() -> Self {
        Self { since: Instant::now(), messages: 0, bytes: 0 }
    }

    /// A message of that size has gone.
    fn note(&mut self, size: usize) {
        self.messages += 1;
        self.bytes += size as u64;
    }

    /// The whole as JSON.
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with a few digits")]
    fn summary(&self) -> String {
        let seconds = self.since.elapsed().as_secs_f64().max(1e-9);
        let rate = |count: u64| (count as f64 / seconds).round();
        json!({
            "messages": self.messages,
            "bytes": self.bytes,
            "seconds": (seconds * 1e6).round() / 1e6,
            "messages_per_second": rate(self.messages),
            "bytes_per_second": rate(self.bytes),
        })
        .to_string()
    }
}
