//! `/broadcast`: rooms in which everyone gets what anyone says.
//!
//! The worker of the session that speaks puts the message into the outbox of every member, its own included, under
//! the room's lock: so all of them see the same order. It never blocks on any of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tungstenite::Message;

use super::{Parameters, Plan, Setting};
use crate::conversation::Conversation;
use crate::ended::Ended;
use crate::handle::{PushError, SessionHandle};

/// Most rooms at a time.
const MOST_ROOMS: usize = 1024;

/// Largest message that a room takes, in bytes: each member that reads slowly holds a copy of it.
const LARGEST_MESSAGE: usize = 1 << 20;

/// How long a room waits for a member whose outbox takes nothing, once: then it has lost its place. A burst that
/// fills an outbox for a moment should not cost a healthy reader its place.
const PATIENCE: Duration = Duration::from_millis(50);

/// How often a member is tried again meanwhile.
const RETRY: Duration = Duration::from_millis(1);

/// How soon bytes that the kernel did not take at once are tried again, while there are any.
const NUDGE: Duration = Duration::from_millis(5);

/// `/broadcast`.
pub(super) fn plan(given: &Parameters, setting: &Setting) -> Result<Plan, String> {
    let name = given.text("room").to_owned();
    if name.is_empty() {
        return Err("room takes a name of 1 to 64 bytes".to_owned());
    }
    let rooms = Arc::clone(setting.rooms);
    Ok(Plan::talk(move |conversation| talk(conversation, &rooms, &name)))
}

/// Takes part in the room until the session ends.
fn talk(conversation: &mut Conversation, rooms: &Rooms, name: &str) -> Result<(), Ended> {
    let session = conversation.handle();
    let Some(place) = Place::take(rooms, name, &session) else {
        return Err(conversation.close(1013, "there are too many rooms"));
    };
    loop {
        let message = hear(conversation, &place)?;
        if message.len() > LARGEST_MESSAGE {
            return Err(conversation.close(1009, "a room takes messages of 1 MiB at most"));
        }
        place.room.say(&message, &session);
    }
}

/// Waits for what this member says next. Bytes that others owe to the kernel since it last spoke are looked after
/// meanwhile: their own workers sleep, and the supervisor comes by only once a second.
fn hear(conversation: &mut Conversation, place: &Place) -> Result<Message, Ended> {
    while place.room.nudge() {
        if let Some(message) = conversation.receive_within(NUDGE)? {
            return Ok(message);
        }
    }
    conversation.receive()
}

/// The rooms of a server.
#[derive(Default)]
pub(super) struct Rooms(Mutex<HashMap<String, Arc<Room>>>);

/// Who listens to whom.
#[derive(Default)]
struct Room(Mutex<Members>);

/// The sessions in a room.
#[derive(Default)]
struct Members {
    /// In the order in which they came.
    sessions: Vec<Arc<SessionHandle>>,
    /// The last one has left: whoever comes now opens another room of the name.
    closed: bool,
}

impl Rooms {
    /// The room of that name; `None` when it would be one too many.
    fn find(&self, name: &str) -> Option<Arc<Room>> {
        let mut rooms = lock(&self.0);
        if !rooms.contains_key(name) && rooms.len() >= MOST_ROOMS {
            return None;
        }
        Some(Arc::clone(rooms.entry(name.to_owned()).or_default()))
    }

    /// Forgets a room that has closed.
    fn forget(&self, name: &str, room: &Arc<Room>) {
        let mut rooms = lock(&self.0);
        if rooms.get(name).is_some_and(|found| Arc::ptr_eq(found, room)) {
            rooms.remove(name);
        }
    }
}

impl Room {
    /// Gives a message to every member. Who does not take it loses its place.
    fn say(&self, message: &Message, speaker: &SessionHandle) {
        lock(&self.0).sessions.retain(|member| {
            let kept = offer(member, message, speaker);
            if !kept {
                member.expel();
            }
            kept
        });
    }

    /// Has what is owed to members tried again. Returns whether any is left.
    fn nudge(&self) -> bool {
        let mut owed = false;
        for member in &lock(&self.0).sessions {
            // A connection that has failed is found out by its own worker.
            owed |= member.outbox().is_owed() && member.outbox().nudge().is_ok() && member.outbox().is_owed();
        }
        owed
    }
}

/// Pushes a message, with patience. Returns whether the member keeps its place.
fn offer(member: &SessionHandle, message: &Message, speaker: &SessionHandle) -> bool {
    let mut since = None;
    loop {
        match member.push(message) {
            // Closed: it is leaving by itself.
            Ok(()) | Err(PushError::Closed) => return true,
            Err(PushError::Busy) => {}
        }
        if since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE || speaker.verdict().is_some() {
            return speaker.verdict().is_some();
        }
        thread::sleep(RETRY);
        let _ = member.outbox().nudge();
    }
}

/// A member's place in a room, given up when it goes out of scope.
struct Place<'a> {
    /// Where the room is.
    rooms: &'a Rooms,
    /// Its name.
    name: &'a str,
    /// The room.
    room: Arc<Room>,
    /// Which member.
    id: u64,
}

impl<'a> Place<'a> {
    /// Enters a room; `None` when it would be one too many.
    fn take(rooms: &'a Rooms, name: &'a str, session: &Arc<SessionHandle>) -> Option<Self> {
        loop {
            let room = rooms.find(name)?;
            let mut members = lock(&room.0);
            if !members.closed {
                members.sessions.push(Arc::clone(session));
                drop(members);
                return Some(Self { rooms, name, room, id: session.id() });
            }
            drop(members);
            rooms.forget(name, &room);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut members = lock(&self.room.0);
        members.sessions.retain(|member| member.id() != self.id);
        members.closed = members.sessions.is_empty();
        let closed = members.closed;
        drop(members);
        if closed {
            self.rooms.forget(self.name, &self.room);
        }
    }
}

/// A lock whose data is whole whatever happened to its last holder.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
