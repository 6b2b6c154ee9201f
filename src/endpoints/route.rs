//! What an endpoint's builder gets and returns.

use std::sync::Arc;

use super::rooms::Rooms;
use crate::config::Config;
use crate::http::response::Response;
use crate::metrics::snapshot::SharedSnapshot;
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// Runs a session on its worker until it ends. `Ok` makes the worker send Close 1000.
pub(crate) type Handler = Arc<dyn Fn(&mut WebSocketSession) -> Result<(), SessionEnd> + Send + Sync>;

/// What an endpoint does with an upgrade request.
pub(super) enum Route {
    /// Accepts the upgrade and runs the handler.
    Upgrade(Handler),
    /// Rejects the upgrade with this response.
    Reject(Response),
}

impl Route {
    /// Returns a route that accepts the upgrade and runs `handler`.
    pub(super) fn upgrade<F>(handler: F) -> Self
    where
        F: Fn(&mut WebSocketSession) -> Result<(), SessionEnd> + Send + Sync + 'static,
    {
        Self::Upgrade(Arc::new(handler))
    }
}

/// What a builder gets beside the parameters.
pub(super) struct EndpointContext<'a> {
    /// Path of the request.
    pub(super) path: &'a str,
    pub(super) config: &'a Config,
    /// The rooms of `/broadcast`.
    pub(super) rooms: &'a Arc<Rooms>,
    /// The totals as of the supervisor's last tick.
    pub(super) snapshot: &'a SharedSnapshot,
}
