//! What each path does with a session: a few straight lines of blocking code each.

use std::collections::BTreeMap;
use std::sync::Arc;

use tungstenite::Message;

use crate::conversation::Conversation;
use crate::ended::Ended;

/// What a path does: talks to its peer until the session has ended. To return `Ok` closes the session with 1000.
type Behavior = Arc<dyn Fn(&mut Conversation) -> Result<(), Ended> + Send + Sync>;

/// Which path does what.
#[derive(Clone)]
pub struct Routes {
    /// The paths that have a behaviour of their own.
    table: BTreeMap<String, Behavior>,
    /// What every other path does.
    otherwise: Behavior,
}

impl Routes {
    /// The paths that the server has: `/` answers in words, any other path echoes.
    #[must_use]
    pub fn standard() -> Self {
        Self { table: BTreeMap::new(), otherwise: Arc::new(echo) }.with("/", received)
    }

    /// Adds a path, or changes what it does. A panic inside the behaviour ends its own session with 1011.
    #[must_use]
    pub fn with<F>(mut self, path: &str, behavior: F) -> Self
    where
        F: Fn(&mut Conversation) -> Result<(), Ended> + Send + Sync + 'static,
    {
        self.table.insert(path.to_owned(), Arc::new(behavior));
        self
    }

    /// What a path does.
    pub(crate) fn find(&self, path: &str) -> &Behavior {
        self.table.get(path).unwrap_or(&self.otherwise)
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self::standard()
    }
}

/// Every message comes back as it was.
pub fn echo(conversation: &mut Conversation) -> Result<(), Ended> {
    loop {
        let message = conversation.receive()?;
        conversation.send(&message)?;
    }
}

/// A text comes back behind the words "Received: ", or what `--reply-prefix` says; a binary message as it was.
pub fn received(conversation: &mut Conversation) -> Result<(), Ended> {
    let prefix = conversation.config().reply_prefix.clone();
    loop {
        match conversation.receive()? {
            Message::Text(text) => conversation.send_text(&prefix, &text)?,
            binary => conversation.send(&binary)?,
        }
    }
}
