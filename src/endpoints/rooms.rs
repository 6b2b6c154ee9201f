//! Rooms: which session hears which.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tungstenite::Message;

use crate::session::handle::{PushError, SessionHandle};

/// Most rooms at a time.
const MAX_ROOMS: usize = 1024;

/// How long a room waits for a member whose outbox takes nothing, once: then it has lost its place. A burst that
/// fills an outbox for a moment should not cost a healthy reader its place.
const SLOW_MEMBER_TIMEOUT: Duration = Duration::from_millis(50);

/// How often a member is tried again meanwhile.
const RETRY: Duration = Duration::from_millis(1);

/// The rooms of a server.
#[derive(Default)]
pub(crate) struct Rooms(Mutex<HashMap<String, Arc<Room>>>);

/// Who listens to whom.
#[derive(Default)]
pub(super) struct Room(Mutex<Members>);

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
        if !rooms.contains_key(name) && rooms.len() >= MAX_ROOMS {
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
    pub(super) fn broadcast(&self, message: &Message, speaker: &SessionHandle) {
        lock(&self.0).sessions.retain(|member| {
            let kept = push_with_timeout(member, message, speaker);
            if !kept {
                member.evict_slow_consumer();
            }
            kept
        });
    }

    /// Has what is owed to members tried again. Returns whether any is left.
    pub(super) fn flush_members(&self) -> bool {
        let mut owed = false;
        for member in &lock(&self.0).sessions {
            // A connection that has failed is found out by its own worker.
            owed |= member.writer().has_unsent()
                && member.writer().try_flush().is_ok()
                && member.writer().has_unsent();
        }
        owed
    }
}

/// Pushes a message, with patience. Returns whether the member keeps its place.
fn push_with_timeout(member: &SessionHandle, message: &Message, speaker: &SessionHandle) -> bool {
    let mut since = None;
    loop {
        match member.push(message) {
            // Closed: it is leaving by itself.
            Ok(()) | Err(PushError::Closed) => return true,
            Err(PushError::Busy) => {}
        }
        if since.get_or_insert_with(Instant::now).elapsed() >= SLOW_MEMBER_TIMEOUT
            || speaker.termination_reason().is_some()
        {
            return speaker.termination_reason().is_some();
        }
        thread::sleep(RETRY);
        let _ = member.writer().try_flush();
    }
}

/// A member's place in a room, given up when it goes out of scope.
pub(super) struct Membership<'a> {
    /// Where the room is.
    rooms: &'a Rooms,
    /// Its name.
    name: &'a str,
    /// The room.
    pub(super) room: Arc<Room>,
    /// Which member.
    id: u64,
}

impl<'a> Membership<'a> {
    /// Enters a room; `None` when it would be one too many.
    pub(super) fn join(rooms: &'a Rooms, name: &'a str, session: &Arc<SessionHandle>) -> Option<Self> {
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

impl Drop for Membership<'_> {
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
