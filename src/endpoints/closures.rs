//! Endpoints that consist of one closure.

use tungstenite::Message;

use crate::session::endpoint::{Endpoint, Next};
use crate::session::websocket::WebSocketSession;

/// Calls a closure at the opening and at each time that it asks for. Discards messages.
pub(super) struct Timed<F>(pub(super) F);

impl<F: FnMut(&mut WebSocketSession) -> Next + Send> Endpoint for Timed<F> {
    fn on_open(&mut self, session: &mut WebSocketSession) -> Next {
        (self.0)(session)
    }

    fn on_message(&mut self, _: &mut WebSocketSession, _: Message) -> Next {
        Next::Continue
    }

    fn on_wake(&mut self, session: &mut WebSocketSession) -> Next {
        (self.0)(session)
    }
}

/// Echoes a number of messages, then calls a closure once. Discards later messages.
pub(super) struct AfterEchoes<F> {
    remaining: u64,
    then: F,
}

impl<F: FnMut(&mut WebSocketSession) -> Next + Send> AfterEchoes<F> {
    /// Echoes `count` messages before `then`.
    pub(super) fn new(count: u64, then: F) -> Self {
        Self { remaining: count, then }
    }
}

impl<F: FnMut(&mut WebSocketSession) -> Next + Send> Endpoint for AfterEchoes<F> {
    fn on_open(&mut self, session: &mut WebSocketSession) -> Next {
        if self.remaining == 0 { (self.then)(session) } else { Next::Continue }
    }

    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next {
        if self.remaining == 0 {
            return Next::Continue;
        }
        session.send(message);
        self.remaining -= 1;
        self.on_open(session)
    }
}
