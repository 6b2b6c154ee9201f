//! What each path does with a session: a few straight lines of blocking code each.
//!
//! [`table`] lists the endpoints; requests are checked against it, and everything that describes them is made
//! from it. A file each says what they do, by family.

mod backlog;
mod broadcast;
mod delay;
mod echo;
mod ending;
mod flow;
mod fragment;
mod info;
mod invalid;
mod parameters;
mod push;
mod silent;
mod stats;
mod status;
pub mod table;
mod throttle;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::conversation::Conversation;
use crate::ended::Ended;
use crate::http::Answer;
use crate::metrics::Published;
use broadcast::Rooms;
pub use echo::{echo, received};
use parameters::Parameters;

/// What a path does: talks to its peer until the session has ended. To return `Ok` closes the session with 1000.
pub(crate) type Behavior = Arc<dyn Fn(&mut Conversation) -> Result<(), Ended> + Send + Sync>;

/// What comes of a request whose parameters make sense.
enum Plan {
    /// The upgrade is granted, and this follows.
    Talk(Behavior),
    /// The upgrade is refused, as the path asks for.
    Refuse(Answer),
}

impl Plan {
    /// The upgrade is granted, and this follows.
    fn talk<F>(behavior: F) -> Self
    where
        F: Fn(&mut Conversation) -> Result<(), Ended> + Send + Sync + 'static,
    {
        Self::Talk(Arc::new(behavior))
    }
}

/// What endpoints need beside their parameters.
struct Setting<'a> {
    /// The path of the request.
    path: &'a str,
    /// The server's waits and limits.
    config: &'a Config,
    /// Who listens to whom.
    rooms: &'a Arc<Rooms>,
    /// What the supervisor last counted.
    published: &'a Published,
}

/// Which path does what.
#[derive(Clone)]
pub struct Routes {
    /// The paths that were given a behaviour from outside.
    own: BTreeMap<String, Behavior>,
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
    pub fn with<F>(mut self, path: &str, behavior: F) -> Self
    where
        F: Fn(&mut Conversation) -> Result<(), Ended> + Send + Sync + 'static,
    {
        self.own.insert(path.to_owned(), Arc::new(behavior));
        self
    }

    /// What an upgrade request gets: a behaviour, or the answer that refuses it.
    pub(crate) fn plan(
        &self,
        path: &str,
        query: &str,
        config: &Config,
        published: &Published,
    ) -> Result<Behavior, Answer> {
        if let Some(behavior) = self.own.get(path) {
            return Ok(Arc::clone(behavior));
        }
        let Some(endpoint) = table::find(path) else { return Ok(Arc::new(echo)) };
        let setting = Setting { path, config, rooms: &self.rooms, published };
        let planned = Parameters::parse(endpoint, query)
            .and_then(|parameters| (endpoint.plan)(&parameters, &setting))
            .map_err(|sentence| Answer::text(400, &sentence))?;
        match planned {
            Plan::Talk(behavior) => Ok(behavior),
            Plan::Refuse(answer) => Err(answer),
        }
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self::standard()
    }
}

/// What a plain HTTP request for the path of an endpoint gets; `None` for any other path.
pub(crate) fn plain_answer(path: &str, query: &str) -> Option<Answer> {
    let endpoint = table::find(path)?;
    if path.starts_with(status::PREFIX) {
        let refused = Parameters::parse(endpoint, query).and_then(|given| status::answer(path, &given));
        return Some(refused.unwrap_or_else(|sentence| Answer::text(400, &sentence)));
    }
    let sentence = format!("{path} answers a WebSocket handshake; / has a page to try it from");
    Some(Answer::text(426, &sentence).with("Upgrade", "websocket"))
}
