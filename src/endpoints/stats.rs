//! `/stats`: sends the server's totals and rates once a second.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::closures::Timed;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::metrics::snapshot::{SharedSnapshot, Snapshot};
use crate::session::endpoint::Next;
use crate::session::websocket::WebSocketSession;

/// Time between two messages.
const INTERVAL: Duration = Duration::from_secs(1);

/// Builds `/stats`: sends the last snapshot with the rates since the snapshot before.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build(_: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let shared = Arc::clone(context.snapshot);
    let (mut last, mut due) = (load(&shared), Instant::now());
    let mut rates = rates(&last, &last);
    Ok(Route::upgrade(Timed(move |session: &mut WebSocketSession| {
        let current = load(&shared);
        // The supervisor publishes by its own clock: there may be no new snapshot yet.
        if current.uptime > last.uptime {
            rates = self::rates(&last, &current);
            last = current;
        }
        session.send_text("", to_json(&last, &rates).to_string());
        due = (due + INTERVAL).max(Instant::now());
        session.wake_at(due);
        Next::Continue
    })))
}

/// Returns the last snapshot of the supervisor.
fn load(shared: &SharedSnapshot) -> Arc<Snapshot> {
    Arc::clone(&shared.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Returns the rates per second between two snapshots.
#[expect(clippy::cast_precision_loss, reason = "rates are shown rounded")]
fn rates(from: &Snapshot, to: &Snapshot) -> Json {
    let seconds = to.uptime.saturating_sub(from.uptime).as_secs_f64().max(1e-3);
    let rate = |from: u64, to: u64| (to.saturating_sub(from) as f64 / seconds).round();
    let (before, after) = (&from.traffic, &to.traffic);
    json!({
        "connections": rate(from.accepted, to.accepted),
        "messages_in": rate(before.messages_in, after.messages_in),
        "messages_out": rate(before.messages_out, after.messages_out),
        "bytes_in": rate(before.bytes_in, after.bytes_in),
        "bytes_out": rate(before.bytes_out, after.bytes_out),
    })
}

/// Returns a snapshot and rates as JSON.
fn to_json(snapshot: &Snapshot, rates: &Json) -> Json {
    let Snapshot { traffic, .. } = snapshot;
    json!({
        "uptime_seconds": snapshot.uptime.as_secs(),
        "open": snapshot.open,
        "waiting": snapshot.waiting,
        "peak": snapshot.peak,
        "rates": rates,
        "totals": {
            "accepted": snapshot.accepted,
            "refused": snapshot.rejected.values().sum::<u64>(),
            "sessions_ended": snapshot.sessions,
            "closed_cleanly": snapshot.clean,
            "cut": snapshot.aborted,
            "messages_in": traffic.messages_in,
            "messages_out": traffic.messages_out,
            "bytes_in": traffic.bytes_in,
            "bytes_out": traffic.bytes_out,
        },
    })
}
