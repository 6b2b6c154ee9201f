//! `/stats`: how the server is doing, once a second.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::metrics::snapshot::{SharedSnapshot, Snapshot};
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// How often the figures are sent.
const EVERY: Duration = Duration::from_secs(1);

/// `/stats`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn build(_: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let published = Arc::clone(context.published);
    Ok(Route::upgrade(move |session| report(session, &published)))
}

/// Sends what the supervisor last counted, with the rates since the count before.
fn report(session: &mut WebSocketSession, published: &SharedSnapshot) -> Result<(), SessionEnd> {
    let mut due = Instant::now();
    let mut last = current(published);
    let mut rates = rates(&last, &last);
    loop {
        let now = current(published);
        // The supervisor has a clock of its own: it may not have counted since we last looked.
        if now.uptime > last.uptime {
            rates = self::rates(&last, &now);
            last = now;
        }
        session.send_text("", &describe(&last, &rates).to_string())?;
        due = (due + EVERY).max(Instant::now());
        session.discard_until(due)?;
    }
}

/// The supervisor's last count.
fn current(published: &SharedSnapshot) -> Arc<Snapshot> {
    Arc::clone(&published.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What happened a second between two counts.
#[expect(clippy::cast_precision_loss, reason = "a rate is shown with a few digits")]
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

/// A count as JSON.
fn describe(snapshot: &Snapshot, rates: &Json) -> Json {
    let Snapshot { traffic, .. } = snapshot;
    json!({
        "uptime_seconds": snapshot.uptime.as_secs(),
        "open": snapshot.open,
        "waiting": snapshot.waiting,
        "peak": snapshot.peak,
        "rates": rates,
        "totals": {
            "accepted": snapshot.accepted,
            "refused": snapshot.refused.values().sum::<u64>(),
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
