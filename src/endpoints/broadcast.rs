//! `/broadcast`: sends each message to all members of a room.
//!
//! The worker of the sending session pushes the message to every member, including its own session, under the
//! lock of the room. Therefore all members receive the messages in the same order.

use std::sync::Arc;
use std::time::Duration;

use tungstenite::Message;

use super::parameters::Parameters;
use super::rooms::{Membership, Rooms};
use super::route::{EndpointContext, Route};
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// Maximum size of a message in a room, in bytes: each slow member holds a copy.
const MAX_MESSAGE: usize = 1 << 20;

/// Time between two attempts to flush unsent bytes of members.
const FLUSH_INTERVAL: Duration = Duration::from_millis(5);

/// Builds `/broadcast`.
pub(super) fn build(parameters: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let name = parameters.text("room").to_owned();
    if name.is_empty() {
        return Err("room takes a name of 1 to 64 bytes".to_owned());
    }
    let rooms = Arc::clone(context.rooms);
    Ok(Route::upgrade(move |session| handle(session, &rooms, &name)))
}

/// Joins the room and broadcasts each received message until the session ends.
fn handle(session: &mut WebSocketSession, rooms: &Rooms, name: &str) -> Result<(), SessionEnd> {
    let handle = session.handle();
    let Some(membership) = Membership::join(rooms, name, &handle) else {
        return Err(session.close(1013, "too many rooms"));
    };
    loop {
        let message = next_message(session, &membership)?;
        if message.len() > MAX_MESSAGE {
            return Err(session.close(1009, "message exceeds 1 MiB, the limit of a room"));
        }
        membership.room.broadcast(&message, &handle);
    }
}

/// Blocks until the next message of this session. While members have unsent bytes, flushes them every
/// [`FLUSH_INTERVAL`]: their own workers block in a read, and the supervisor flushes only at its ticks, which
/// are up to a second apart.
fn next_message(session: &mut WebSocketSession, membership: &Membership) -> Result<Message, SessionEnd> {
    while membership.room.flush_members() {
        if let Some(message) = session.receive_within(FLUSH_INTERVAL)? {
            return Ok(message);
        }
    }
    session.receive()
}
