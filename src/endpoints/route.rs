//! What an endpoint is built from, and what comes of building it.

use std::sync::Arc;

use super::rooms::Rooms;
use crate::config::Config;
use crate::http::response::Response;
use crate::metrics::snapshot::SharedSnapshot;
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// What a path does: talks to its peer until the session has ended. To return `Ok` closes the session with 1000.
pub(crate) type Handler = Arc<dyn Fn(&mut WebSocketSession) -> Result<(), SessionEnd> + Send + Sync>;

/// What comes of a request whose parameters make sense.
pub(super) enum Route {
    /// The upgrade is granted, and this follows.
    Upgrade(Handler),
    /// The upgrade is refused, as the path asks for.
    Reject(Response),
}

impl Route {
    /// The upgrade is granted, and this follows.
    pub(super) fn upgrade<F>(handler: F) -> Self
    where
        F: Fn(&mut WebSocketSession) -> Result<(), SessionEnd> + Send + Sync + 'static,
    {
        Self::Upgrade(Arc::new(handler))
    }
}

/// What endpoints need beside their parameters.
pub(super) struct EndpointContext<'a> {
    /// The path of the request.
    pub(super) path: &'a str,
    /// The server's waits and limits.
    pub(super) config: &'a Config,
    /// Who listens to whom.
    pub(super) rooms: &'a Arc<Rooms>,
    /// What the supervisor last counted.
    pub(super) published: &'a SharedSnapshot,
}
