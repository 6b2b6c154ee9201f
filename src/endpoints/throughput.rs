//! `/source` and `/sink`: throughput one way.

use std::time::Instant;

use serde_json::json;
use tungstenite::Message;

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::platform::random::Random;
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// Bytes after which the source looks whether its peer has something to say: a Ping, or a Close.
const POLL_EVERY_BYTES: usize = 256 << 10;

/// Most messages between two such looks.
const POLL_EVERY_MESSAGES: usize = 64;

/// `/source`.
pub(super) fn build_source(given: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let size = given.message_size("size", context.config.max_message)?;
    let count = given.number("count");
    Ok(Route::upgrade(move |session| source(session, size, count)))
}

/// Sends `count` messages as fast as the peer takes them, and then says how fast that was.
fn source(session: &mut WebSocketSession, size: usize, count: u64) -> Result<(), SessionEnd> {
    // Random bytes, so that compression on the way does not flatter the figure.
    let message = Message::binary(Random::new().bytes(size));
    let mut meter = Meter::start();
    let (mut bytes, mut messages) = (0, 0);
    for _ in 0..count {
        session.send(&message)?;
        meter.note(size);
        (bytes, messages) = (bytes + size, messages + 1);
        if bytes >= POLL_EVERY_BYTES || messages == POLL_EVERY_MESSAGES {
            (bytes, messages) = (0, 0);
            session.discard_until(Instant::now())?;
        }
    }
    session.discard_until(Instant::now())?;
    session.send_text("", &meter.summary())
}

/// `/sink`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn build_sink(given: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let count = given.number("count");
    Ok(Route::upgrade(move |session| {
        loop {
            sink(session, count)?;
        }
    }))
}

/// Takes messages until an empty one comes, or until there were `count`, and then says how fast that was.
fn sink(session: &mut WebSocketSession, count: u64) -> Result<(), SessionEnd> {
    let mut message = session.receive()?;
    // The clock starts with the first message, whose own way is therefore not in the figure.
    let mut meter = Meter::start();
    while !message.is_empty() {
        meter.note(message.len());
        if meter.messages == count {
            break;
        }
        message = session.receive()?;
    }
    session.send_text("", &meter.summary())
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
