//! The rooms of `/broadcast`, and their members.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tungstenite::Message;

use crate::session::handle::{PushError, SessionHandle};

/// Maximum number of rooms.
const MAX_ROOMS: usize = 1024;

/// Time for a member to take a message before it is evicted as a slow reader. Longer than a burst that fills
/// the write queue of a member that reads.
const SLOW_MEMBER_TIMEOUT: Duration = Duration::from_millis(50);

/// Time between two attempts to push to a member during [`SLOW_MEMBER_TIMEOUT`].
const RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// The rooms of a server, by name.
#[derive(Default)]
pub(crate) struct Rooms(Mutex<HashMap<String, Arc<Room>>>);

/// One room.
#[derive(Default)]
pub(super) struct Room(Mutex<Members>);

/// The members of a room.
#[derive(Default)]
struct Members {
    /// In the order of joining.
    handles: Vec<Arc<SessionHandle>>,
    /// The last member has left. No session may join; the next one creates a new room of this name.
    abandoned: bool,
}

impl Rooms {
    /// Returns the room of this name; creates it if necessary. Returns `None` if there are [`MAX_ROOMS`]
    /// others.
    fn get_or_create(&self, name: &str) -> Option<Arc<Room>> {
        let mut rooms = lock(&self.0);
        if !rooms.contains_key(name) && rooms.len() >= MAX_ROOMS {
            return None;
        }
        Some(Arc::clone(rooms.entry(name.to_owned()).or_default()))
    }

    /// Removes an abandoned room, unless another room has its name.
    fn remove(&self, name: &str, room: &Arc<Room>) {
        let mut rooms = lock(&self.0);
        if rooms.get(name).is_some_and(|current| Arc::ptr_eq(current, room)) {
            rooms.remove(name);
        }
    }
}

impl Room {
    /// Sends a message to all members, in the order of joining. A slow reader in a room is dropped here: a
    /// member that does not take the message within [`SLOW_MEMBER_TIMEOUT`] is evicted with Close 1013.
    /// Blocks for at most this time per evicted member.
    pub(super) fn broadcast(&self, message: &Message, sender: &SessionHandle) {
        lock(&self.0).handles.retain(|member| {
            let keep = push_with_timeout(member, message, sender);
            if !keep {
                member.evict_slow_consumer();
            }
            keep
        });
    }

    /// Tries to send the unsent bytes of all members, without blocking. Returns whether any are left.
    pub(super) fn flush_members(&self) -> bool {
        let mut unsent = false;
        for member in &lock(&self.0).handles {
            // An I/O error is ignored: the member's own worker ends that session.
            unsent |= member.writer().has_unsent()
                && member.writer().try_flush().is_ok()
                && member.writer().has_unsent();
        }
        unsent
    }
}

/// Pushes a message to a member; blocks for at most [`SLOW_MEMBER_TIMEOUT`]. Returns whether the member stays
/// in the room. It also stays if the sender's own session is being terminated, which ends the wait early.
fn push_with_timeout(member: &SessionHandle, message: &Message, sender: &SessionHandle) -> bool {
    let mut busy_since = None;
    loop {
        match member.push(message) {
            // A closed member leaves the room by itself.
            Ok(()) | Err(PushError::Closed) => return true,
            Err(PushError::Busy) => {}
        }
        if busy_since.get_or_insert_with(Instant::now).elapsed() >= SLOW_MEMBER_TIMEOUT
            || sender.termination_reason().is_some()
        {
            return sender.termination_reason().is_some();
        }
        thread::sleep(RETRY_INTERVAL);
        let _ = member.writer().try_flush();
    }
}

/// The membership of a session in a room. Dropping it leaves the room.
pub(super) struct Membership<'a> {
    rooms: &'a Rooms,
    name: &'a str,
    pub(super) room: Arc<Room>,
    /// Number of the member's connection.
    id: u64,
}

impl<'a> Membership<'a> {
    /// Joins a room. Returns `None` if there are too many rooms.
    pub(super) fn join(rooms: &'a Rooms, name: &'a str, handle: &Arc<SessionHandle>) -> Option<Self> {
        loop {
            let room = rooms.get_or_create(name)?;
            let mut members = lock(&room.0);
            if !members.abandoned {
                members.handles.push(Arc::clone(handle));
                drop(members);
                return Some(Self { rooms, name, room, id: handle.id() });
            }
            drop(members);
            rooms.remove(name, &room);
        }
    }
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        let mut members = lock(&self.room.0);
        members.handles.retain(|member| member.id() != self.id);
        members.abandoned = members.handles.is_empty();
        let abandoned = members.abandoned;
        drop(members);
        if abandoned {
            self.rooms.remove(self.name, &self.room);
        }
    }
}

/// Locks a mutex whose data is consistent even after a panic of another thread.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
