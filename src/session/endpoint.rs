//! What an endpoint does with a session: at its opening, with each message, and at the times that it asked
//! for.

use tungstenite::Message;

use super::end::DropMode;
use super::websocket::WebSocketSession;

/// What a session does after a method of its endpoint has returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Waits for the next message, or for the time given to [`WebSocketSession::wake_at`].
    Continue,
    /// Sends a Close with this code and reason, and waits for the peer's. A reason longer than 123 bytes is
    /// truncated (RFC 6455, 5.5).
    Close(u16, String),
    /// Sends what is queued, then ends the connection without a Close.
    Drop(DropMode),
}

/// The behaviour of one session. A worker calls the methods, one at a time. They must not block: the worker
/// serves other sessions. Implemented for closures that take a message.
///
/// What a method sends is queued, and sent before the session waits. While the peer does not take all of it,
/// no method is called and nothing is read, so the queue grows by what one call sends.
pub trait Endpoint: Send {
    /// Called once, after the 101 response was queued.
    fn on_open(&mut self, _session: &mut WebSocketSession) -> Next {
        Next::Continue
    }

    /// Called with each text or binary message.
    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next;

    /// Called when the time of [`WebSocketSession::wake_at`] has come and all queued bytes were sent.
    fn on_wake(&mut self, _session: &mut WebSocketSession) -> Next {
        Next::Continue
    }

    /// Called before the session gives its worker back or replies to a Close, after any number of the other
    /// calls.
    fn before_wait(&mut self, _session: &mut WebSocketSession) {}
}

impl<F> Endpoint for F
where
    F: FnMut(&mut WebSocketSession, Message) -> Next + Send,
{
    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next {
        self(session, message)
    }
}
