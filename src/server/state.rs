//! What the sessions of a server share, and what they tell the supervisor.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_channel::Sender;

use super::rejector::RejectReason;
use crate::config::Config;
use crate::endpoints::routes::Routes;
use crate::metrics::snapshot::SharedSnapshot;
use crate::session::end::SessionEnd;
use crate::session::handle::SessionHandle;

/// What every session of a server shares.
pub(crate) struct ServerState {
    /// The server's waits and limits.
    pub(crate) config: Arc<Config>,
    /// Which path does what.
    pub(crate) routes: Routes,
    /// To the supervisor.
    pub(crate) events: Sender<Event>,
    /// What the supervisor last counted.
    pub(crate) published: SharedSnapshot,
    /// Numbers the sessions.
    pub(crate) ids: AtomicU64,
}

/// What a session tells the supervisor.
#[derive(Debug)]
pub(crate) enum Event {
    /// A worker has taken a connection.
    Opened(Arc<SessionHandle>),
    /// A worker is done with it.
    Closed(SessionReport),
    /// A connection was refused before a worker had it.
    Refused(RejectReason),
    /// An accept loop has ended.
    ListenerDone,
}

/// How a session went; its counters are in its handle.
#[derive(Debug)]
pub(crate) struct SessionReport {
    /// Which session.
    pub(crate) id: u64,
    /// How it ended.
    pub(crate) ended: SessionEnd,
    /// Whether it was a WebSocket session, and not a plain request.
    pub(crate) upgraded: bool,
    /// Whether its behaviour panicked.
    pub(crate) panicked: bool,
}
