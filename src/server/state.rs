//! The state that all connections of a server share, and the events that they send to the supervisor.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, PoisonError};

use crossbeam_channel::Sender;

use super::address_limit::AddressLimit;
use super::admission::Admission;
use super::http_routes;
use super::reject_reason::RejectReason;
use crate::config::Config;
use crate::endpoints::routes::Routes;
use crate::http::request_head::RequestHead;
use crate::http::response::Response;
use crate::metrics::snapshot::SharedSnapshot;
use crate::platform::memory_budget::MemoryBudget;
use crate::session::end::SessionEnd;
use crate::session::handle::SessionHandle;

/// The state that all connections of a server share.
pub(crate) struct ServerState {
    pub(crate) config: Arc<Config>,
    pub(crate) admission: Arc<Admission>,
    /// Counts the connections of each address, if the configuration limits them.
    pub(super) address_limit: Option<Arc<AddressLimit>>,
    /// Maps paths to endpoints.
    pub(crate) routes: Routes,
    /// The channel to the supervisor.
    pub(crate) events: Sender<Event>,
    /// The totals as of the supervisor's last tick.
    pub(crate) snapshot: SharedSnapshot,
    /// A stop was requested: `/readyz` responds 503. The server goes on accepting for the shutdown delay.
    pub(crate) stopping: AtomicBool,
    /// The drain has begun: an accept loop ends when the backlog of its listener is empty.
    pub(crate) draining: AtomicBool,
    /// The memory that all sessions may use.
    pub(crate) memory: Arc<MemoryBudget>,
}

impl ServerState {
    /// Returns the response to a request without an upgrade.
    pub(super) fn respond(&self, head: &RequestHead) -> Response {
        let snapshot = Arc::clone(&self.snapshot.lock().unwrap_or_else(PoisonError::into_inner));
        let ready = !self.stopping.load(SeqCst) && self.admission.has_room();
        http_routes::respond(head, &self.config, &snapshot, ready)
    }
}

/// What accept loops and workers report to the supervisor.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection is served.
    Opened(Arc<SessionHandle>),
    /// A connection has ended.
    Closed(SessionReport),
    /// An accept loop has closed a connection without a response, because there are too many.
    Overflowed,
    /// An accept loop has ended.
    AcceptLoopEnded,
}

/// How a connection ended. Its counters are in its handle.
#[derive(Debug)]
pub(crate) struct SessionReport {
    /// Number of the connection among those that the server has served, from 1.
    pub(crate) id: u64,
    pub(crate) end: SessionEnd,
    /// Why the connection got no place, if it got none.
    pub(crate) rejected: Option<RejectReason>,
    /// The 101 was sent: this was a WebSocket session.
    pub(crate) upgraded: bool,
    /// The handler or the handshake panicked.
    pub(crate) panicked: bool,
}
