//! Maps request paths to endpoints.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::echo::echo;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use super::table;
use crate::config::Config;
use crate::http::response::Response;
use crate::metrics::rooms::RoomTotals;
use crate::metrics::snapshot::SharedSnapshot;
use crate::rooms::registry::Rooms;
use crate::session::endpoint::Endpoint;

/// Creates the endpoint of a session.
type Factory = Arc<dyn Fn() -> Box<dyn Endpoint> + Send + Sync>;

/// Maps request paths to endpoints. Clones share the rooms of `/broadcast`.
#[derive(Clone)]
pub struct Routes {
    /// Endpoints added with [`with`](Self::with), by path.
    custom: BTreeMap<String, Factory>,
    rooms: Arc<Rooms>,
}

impl Routes {
    /// Returns the endpoints of [`table`]. Any other path echoes.
    #[must_use]
    pub fn standard() -> Self {
        Self { custom: BTreeMap::new(), rooms: Arc::default() }
    }

    /// Adds an endpoint for a path, or replaces one of the table. `create` is called for each session. A
    /// session whose endpoint panics is closed with 1011.
    #[must_use]
    pub fn with<F, E>(mut self, path: &str, create: F) -> Self
    where
        F: Fn() -> E + Send + Sync + 'static,
        E: Endpoint + 'static,
    {
        self.custom.insert(path.to_owned(), Arc::new(move || Box::new(create())));
        self
    }

    /// Returns the rooms of `/broadcast`.
    pub(crate) fn rooms(&self) -> &Arc<Rooms> {
        &self.rooms
    }

    /// Returns the totals of rooms that are shared with other instances; `None` if they are not.
    pub(crate) fn room_totals(&self) -> Option<RoomTotals> {
        self.rooms.relay().map(|relay| relay.counters().totals())
    }

    /// Creates the endpoint of an upgrade request.
    ///
    /// # Errors
    /// The response that rejects the request: 404 for a disabled endpoint, 400 for a query that the endpoint
    /// does not accept, or that of `/status/CODE`.
    pub(crate) fn route(
        &self,
        path: &str,
        query: &str,
        config: &Config,
        snapshot: &SharedSnapshot,
    ) -> Result<Box<dyn Endpoint>, Response> {
        if let Some(create) = self.custom.get(path) {
            return Ok(create());
        }
        check_enabled(path, config)?;
        let Some(endpoint) = table::find(path) else {
            return Ok(Box::new(echo));
        };
        let context = EndpointContext { path, config, rooms: &self.rooms, snapshot };
        let route = Parameters::parse(endpoint.path, endpoint.parameters, endpoint.any_query, query)
            .and_then(|parameters| (endpoint.build)(&parameters, &context))
            .map_err(|sentence| Response::text(400, &sentence))?;
        match route {
            Route::Upgrade(endpoint) => Ok(endpoint),
            Route::Reject(response) => Err(response),
        }
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self::standard()
    }
}

/// Checks that the endpoint of a path is not disabled. A path without an endpoint cannot be disabled.
///
/// # Errors
/// The 404 response for a disabled endpoint.
pub(crate) fn check_enabled(path: &str, config: &Config) -> Result<(), Response> {
    match table::find(path) {
        Some(endpoint) if config.disabled.iter().any(|disabled| disabled == endpoint.path) => {
            Err(Response::text(404, "this endpoint is disabled on this server"))
        }
        _ => Ok(()),
    }
}

/// Returns the response to a plain HTTP request for the path of an endpoint; `None` for any other path. It is
/// the one that an upgrade request with this query would be rejected with, or 426 if it would be accepted:
/// browsers do not show a page why a handshake failed, and the page asks with a plain request.
pub(crate) fn plain_response(path: &str, query: &str, config: &Config) -> Option<Response> {
    table::find(path)?;
    let accepted = Routes::standard().route(path, query, config, &SharedSnapshot::default()).map(|_| {
        let sentence = format!("{path} is a WebSocket endpoint; open / in a browser for a test page");
        Response::text(426, &sentence).with("Upgrade", "websocket")
    });
    Some(accepted.unwrap_or_else(|rejection| rejection))
}

#[cfg(test)]
mod tests {
    use super::super::status;
    use super::*;

    #[test]
    fn routes_accept_the_defaults_and_the_example_of_every_endpoint() {
        let (routes, config, snapshot) = (Routes::standard(), Config::default(), Arc::default());
        for endpoint in table::ENDPOINTS {
            let (path, example_query) = endpoint.example.split_once('?').unwrap_or((endpoint.example, ""));
            assert!(
                table::find(path).is_some_and(|found| found.path == endpoint.path),
                "{path} is not found"
            );
            for query in ["", example_query] {
                let route = routes.route(path, query, &config, &snapshot);
                let rejected_with = route.err().map(|response| response.status);
                let expected = path.starts_with(status::PREFIX).then_some(503);
                assert_eq!(rejected_with, expected, "{path}?{query}");
            }
        }
    }
}
