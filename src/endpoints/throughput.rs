//! `/source` and `/sink`: measure the throughput of one direction.

use std::time::Instant;

use serde_json::json;
use tungstenite::Message;

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::platform::random::Random;
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// Bytes after which `/source` polls for a Ping or a Close of the peer.
const POLL_EVERY_BYTES: usize = 256 << 10;

/// Messages after which `/source` polls at the latest.
const POLL_EVERY_MESSAGES: usize = 64;

/// Builds `/source`.
pub(super) fn build_source(parameters: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let size = parameters.message_size("size", context.config.max_message)?;
    let count = parameters.number("count");
    Ok(Route::upgrade(move |session| source(session, size, count)))
}

/// Sends `count` messages of `size` bytes as fast as the peer reads, then a summary.
fn source(session: &mut WebSocketSession, size: usize, count: u64) -> Result<(), SessionEnd> {
    // Random bytes, so that compression does not raise the rate.
    let message = Message::binary(Random::new().bytes(size));
    let mut meter = Meter::start();
    let (mut unpolled_bytes, mut unpolled_messages) = (0, 0);
    for _ in 0..count {
        session.send(&message)?;
        meter.record(size);
        (unpolled_bytes, unpolled_messages) = (unpolled_bytes + size, unpolled_messages + 1);
        if unpolled_bytes >= POLL_EVERY_BYTES || unpolled_messages == POLL_EVERY_MESSAGES {
            (unpolled_bytes, unpolled_messages) = (0, 0);
            session.discard_until(Instant::now())?;
        }
    }
    session.discard_until(Instant::now())?;
    session.send_text("", &meter.summary())
}

/// Builds `/sink`.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build_sink(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let count = parameters.number("count");
    Ok(Route::upgrade(move |session| {
        loop {
            sink(session, count)?;
        }
    }))
}

/// Receives messages until an empty one, or until `count` of them (0: no limit), then sends a summary.
fn sink(session: &mut WebSocketSession, count: u64) -> Result<(), SessionEnd> {
    let mut message = session.receive()?;
    // The time starts after the first message: its transmission time is not included.
    let mut meter = Meter::start();
    while !message.is_empty() {
        meter.record(message.len());
        if meter.messages == count {
            break;
        }
        message = session.receive()?;
    }
    session.send_text("", &meter.summary())
}

/// Counts messages and bytes of one direction since its start.
struct Meter {
    started_at: Instant,
    messages: u64,
    /// Payload, in bytes.
    bytes: u64,
}

impl Meter {
    fn start() -> Self {
        Self { started_at: Instant::now(), messages: 0, bytes: 0 }
    }

    /// Counts a message of `size` bytes.
    fn record(&mut self, size: usize) {
        self.messages += 1;
        self.bytes += size as u64;
    }

    /// Returns counts and rates as JSON.
    #[expect(clippy::cast_precision_loss, reason = "rates are shown rounded")]
    fn summary(&self) -> String {
        let seconds = self.started_at.elapsed().as_secs_f64().max(1e-9);
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
