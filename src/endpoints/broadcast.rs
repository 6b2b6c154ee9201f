//! `/broadcast`: sends each message to all members of a room.
//!
//! The worker of the sending session queues the message for every member, including its own session, under
//! the lock of the room. Therefore all members receive the messages in the same order. It sends the queues
//! before its session waits, so a burst of messages takes one write for each member. No thread waits for a
//! member: while a member's queue is long, the sender's session reads nothing, and a member whose queue stays
//! long is evicted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tungstenite::{Message, Utf8Bytes};

use super::parameters::Parameters;
use super::rooms::{Membership, Rooms};
use super::route::{EndpointContext, Route};
use crate::session::end::OUT_OF_MEMORY;
use crate::session::endpoint::{Endpoint, Next};
use crate::session::websocket::WebSocketSession;

/// Maximum size of a message in a room, in bytes.
const MAX_MESSAGE: usize = 1 << 20;

/// Size of a message, in bytes, from which on all members send it from the same memory.
const SHARED_MIN: usize = 16 << 10;

/// Time between two looks at members whose queues are long.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// A member of a room.
struct Member {
    rooms: Arc<Rooms>,
    name: String,
    /// Present from the opening on.
    membership: Option<Membership>,
    /// Messages were queued for the members and not sent.
    unsent: bool,
}

impl Endpoint for Member {
    fn on_open(&mut self, session: &mut WebSocketSession) -> Next {
        self.membership = Membership::join(&self.rooms, &self.name, &session.handle());
        match self.membership {
            Some(_) => Next::Continue,
            None => Next::Close(1013, "too many rooms".to_owned()),
        }
    }

    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next {
        if message.len() > MAX_MESSAGE {
            return Next::Close(1009, "message exceeds 1 MiB, the limit of a room".to_owned());
        }
        let Some(message) = counted(message, session) else {
            return Next::Close(1013, OUT_OF_MEMORY.to_owned());
        };
        if let Some(membership) = &self.membership {
            self.unsent = true;
            if membership.room.queue(&message) {
                session.pause_reading();
                session.wake_at(Instant::now() + RETRY_INTERVAL);
            }
        }
        Next::Continue
    }

    fn on_wake(&mut self, session: &mut WebSocketSession) -> Next {
        if self.membership.as_ref().is_some_and(|membership| membership.room.has_slow_members()) {
            session.wake_at(Instant::now() + RETRY_INTERVAL);
        } else {
            session.resume_reading();
        }
        Next::Continue
    }

    fn before_wait(&mut self, _: &mut WebSocketSession) {
        if std::mem::take(&mut self.unsent)
            && let Some(membership) = &self.membership
        {
            membership.room.flush();
        }
    }
}

/// Returns a message that is counted as memory once for all members. Small ones are copied to the queues of
/// the members, which count them. Returns `None` if memory is short.
fn counted(message: Message, session: &WebSocketSession) -> Option<Message> {
    if message.len() < SHARED_MIN {
        return Some(message);
    }
    let is_text = message.is_text();
    let payload = session.memory_budget().count_shared(message.into_data())?;
    if is_text {
        Utf8Bytes::try_from(payload).ok().map(Message::Text)
    } else {
        Some(Message::Binary(payload))
    }
}

/// Builds `/broadcast`.
pub(super) fn build(parameters: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let name = parameters.text("room").to_owned();
    if name.is_empty() {
        return Err("room takes a name of 1 to 64 bytes".to_owned());
    }
    let rooms = Arc::clone(context.rooms);
    Ok(Route::upgrade(Member { rooms, name, membership: None, unsent: false }))
}
