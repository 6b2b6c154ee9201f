//! `/broadcast`: rooms in which everyone gets what anyone says.
//!
//! The worker of the session that speaks puts the message into the outbox of every member, its own included, under
//! the room's lock: so all of them see the same order. It never blocks on any of them.

use std::sync::Arc;
use std::time::Duration;

use tungstenite::Message;

use super::parameters::Parameters;
use super::rooms::{Membership, Rooms};
use super::route::{EndpointContext, Route};
use crate::session::end::SessionEnd;
use crate::session::websocket::WebSocketSession;

/// Largest message that a room takes, in bytes: each member that reads slowly holds a copy of it.
const LARGEST_MESSAGE: usize = 1 << 20;

/// How soon bytes that the kernel did not take at once are tried again, while there are any.
const FLUSH_INTERVAL: Duration = Duration::from_millis(5);

/// `/broadcast`.
pub(super) fn build(given: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let name = given.text("room").to_owned();
    if name.is_empty() {
        return Err("room takes a name of 1 to 64 bytes".to_owned());
    }
    let rooms = Arc::clone(context.rooms);
    Ok(Route::upgrade(move |session| handle(session, &rooms, &name)))
}

/// Takes part in the room until the session ends.
fn handle(session: &mut WebSocketSession, rooms: &Rooms, name: &str) -> Result<(), SessionEnd> {
    let handle = session.handle();
    let Some(membership) = Membership::join(rooms, name, &handle) else {
        return Err(session.close(1013, "there are too many rooms"));
    };
    loop {
        let message = next_message(session, &membership)?;
        if message.len() > LARGEST_MESSAGE {
            return Err(session.close(1009, "a room takes messages of 1 MiB at most"));
        }
        membership.room.broadcast(&message, &handle);
    }
}

/// Waits for what this member says next. Bytes that others owe to the kernel since it last spoke are looked after
/// meanwhile: their own workers sleep, and the supervisor comes by only once a second.
fn next_message(session: &mut WebSocketSession, membership: &Membership) -> Result<Message, SessionEnd> {
    while membership.room.flush_members() {
        if let Some(message) = session.receive_within(FLUSH_INTERVAL)? {
            return Ok(message);
        }
    }
    session.receive()
}
