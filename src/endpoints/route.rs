//! What an endpoint's builder gets and returns.

use std::sync::Arc;

use crate::config::Config;
use crate::http::response::Response;
use crate::metrics::snapshot::SharedSnapshot;
use crate::rooms::registry::Rooms;
use crate::session::endpoint::Endpoint;

/// What an endpoint does with an upgrade request.
pub(super) enum Route {
    /// Accepts the upgrade. The endpoint is that of the session.
    Upgrade(Box<dyn Endpoint>),
    /// Rejects the upgrade with this response.
    Reject(Response),
}

impl Route {
    /// Returns a route that accepts the upgrade.
    pub(super) fn upgrade(endpoint: impl Endpoint + 'static) -> Self {
        Self::Upgrade(Box::new(endpoint))
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
