//! `/source` and `/sink`: measure the throughput of one direction.

use std::time::Instant;

use serde_json::json;
use tungstenite::Message;

use super::closures::Timed;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use super::shared_block::SharedBlock;
use crate::platform::random::Random;
use crate::session::endpoint::Next;
use crate::session::websocket::WebSocketSession;

/// Payload, in bytes, that `/source` sends before it reads what the peer has sent.
const BYTES_AT_ONCE: usize = 256 << 10;

/// Messages that `/source` sends before it reads what the peer has sent, at most.
const MESSAGES_AT_ONCE: u64 = 64;

/// Random, so that compression does not raise the rate.
static RANDOM_BYTES: SharedBlock = SharedBlock::new(|size| Random::new().bytes(size));

/// Builds `/source`: sends `count` messages of `size` bytes as fast as the peer reads, then a summary.
pub(super) fn build_source(parameters: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let size = parameters.message_size("size", context.config.max_message)?;
    let at_once = ((BYTES_AT_ONCE / size) as u64).clamp(1, MESSAGES_AT_ONCE);
    let message = Message::binary(RANDOM_BYTES.last(size));
    let (mut remaining, mut meter) = (parameters.number("count"), Meter::start());
    Ok(Route::upgrade(Timed(move |session: &mut WebSocketSession| {
        for _ in 0..at_once.min(remaining) {
            session.send(message.clone());
            meter.record(size);
            remaining -= 1;
            if !session.has_room() {
                break;
            }
        }
        if remaining > 0 || !session.has_room() {
            session.wake_when_sent();
            return Next::Continue;
        }
        session.send_text("", meter.summary());
        Next::Close(1000, String::new())
    })))
}

/// Builds `/sink`: receives messages until an empty one, or until `count` of them (0: no limit), then sends a
/// summary and begins anew.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build_sink(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let count = parameters.number("count");
    let mut current: Option<Meter> = None;
    Ok(Route::upgrade(move |session: &mut WebSocketSession, message: Message| {
        // The time starts after the first message: its transmission time is not included.
        let meter = current.get_or_insert_with(Meter::start);
        if !message.is_empty() {
            meter.record(message.len());
        }
        if message.is_empty() || meter.messages == count {
            session.send_text("", meter.summary());
            current = None;
        }
        Next::Continue
    }))
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
