//! Which path does what.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::echo::echo;
use super::parameters::Parameters;
use super::rooms::Rooms;
use super::route::{EndpointContext, Handler, Route};
use super::{status, table};
use crate::config::Config;
use crate::http::response::Response;
use crate::metrics::snapshot::SharedSnapshot;
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// Which path does what.
#[derive(Clone)]
pub struct Routes {
    /// The paths that were given a behaviour from outside.
    own: BTreeMap<String, Handler>,
    /// The rooms of `/broadcast`.
    rooms: Arc<Rooms>,
}

impl Routes {
    /// The endpoints of [`table`]; any other path echoes.
    #[must_use]
    pub fn standard() -> Self {
        Self { own: BTreeMap::new(), rooms: Arc::default() }
    }

    /// Adds a path, or changes what it does. A panic inside the behaviour ends its own session with 1011.
    #[must_use]
    pub fn with<F>(mut self, path: &str, handler: F) -> Self
    where
        F: Fn(&mut WebSocketSession) -> Result<(), SessionEnd> + Send + Sync + 'static,
    {
        self.own.insert(path.to_owned(), Arc::new(handler));
        self
    }

    /// What an upgrade request gets: a behaviour, or the answer that refuses it.
    pub(crate) fn route(
        &self,
        path: &str,
        query: &str,
        config: &Config,
        published: &SharedSnapshot,
    ) -> Result<Handler, Response> {
        if let Some(handler) = self.own.get(path) {
            return Ok(Arc::clone(handler));
        }
        let Some(endpoint) = table::find(path) else { return Ok(Arc::new(echo)) };
        let context = EndpointContext { path, config, rooms: &self.rooms, published };
        let planned = Parameters::parse(endpoint.path, endpoint.parameters, endpoint.any_query, query)
            .and_then(|parameters| (endpoint.build)(&parameters, &context))
            .map_err(|sentence| Response::text(400, &sentence))?;
        match planned {
            Route::Upgrade(handler) => Ok(handler),
            Route::Reject(answer) => Err(answer),
        }
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self::standard()
    }
}

/// What a plain HTTP request for the path of an endpoint gets; `None` for any other path.
pub(crate) fn plain_response(path: &str, query: &str) -> Option<Response> {
    let endpoint = table::find(path)?;
    if path.starts_with(status::PREFIX) {
        let refused = Parameters::parse(endpoint.path, endpoint.parameters, endpoint.any_query, query)
            .and_then(|given| status::answer(path, &given));
        return Some(refused.unwrap_or_else(|sentence| Response::text(400, &sentence)));
    }
    let sentence = format!("{path} answers a WebSocket handshake; / has a page to try it from");
    Some(Response::text(426, &sentence).with("Upgrade", "websocket"))
}
