//! The rooms of a server, by name, and the memberships of sessions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::relay::Relay;
use super::room::Room;
use crate::session::handle::SessionHandle;
use crate::transport::termination::TerminationReason;

/// Maximum number of rooms.
const MAX_ROOMS: usize = 1024;

/// The rooms of a server.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    rooms: Mutex<HashMap<String, Arc<Room>>>,
    /// The way to other instances, if they share the rooms.
    relay: OnceLock<Arc<Relay>>,
}

impl Rooms {
    /// Shares the rooms with other instances from now on. Returns `false` if they are shared already.
    pub(super) fn share(&self, relay: &Arc<Relay>) -> bool {
        self.relay.set(Arc::clone(relay)).is_ok()
    }

    /// Returns the way to other instances, or `None` if the rooms are in this process only.
    pub(crate) fn relay(&self) -> Option<&Arc<Relay>> {
        self.relay.get()
    }

    /// Returns the room of this name; creates it if necessary. Returns `None` if there are [`MAX_ROOMS`]
    /// others.
    fn get_or_create(&self, name: &str) -> Option<Arc<Room>> {
        let mut rooms = self.lock();
        if let Some(room) = rooms.get(name) {
            return Some(Arc::clone(room));
        }
        if rooms.len() >= MAX_ROOMS {
            return None;
        }
        let room = Arc::new(Room::default());
        room.set_ready(self.relay().is_none());
        rooms.insert(name.to_owned(), Arc::clone(&room));
        drop(rooms);
        self.request_subscriptions();
        Some(room)
    }

    /// Removes an abandoned room, unless another room has its name.
    fn remove(&self, name: &str, room: &Arc<Room>) {
        let mut rooms = self.lock();
        let removed =
            rooms.get(name).is_some_and(|current| Arc::ptr_eq(current, room)) && rooms.remove(name).is_some();
        drop(rooms);
        if removed {
            self.request_subscriptions();
        }
    }

    fn request_subscriptions(&self) {
        if let Some(relay) = self.relay() {
            relay.request_subscriptions();
        }
    }

    /// Returns the room of this name.
    pub(super) fn get(&self, name: &str) -> Option<Arc<Room>> {
        self.lock().get(name).map(Arc::clone)
    }

    /// Returns all names.
    pub(super) fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Notes that no subscription is confirmed. Returns the number of members that had one.
    pub(super) fn set_unready(&self) -> usize {
        let rooms: Vec<_> = self.lock().values().map(Arc::clone).collect();
        let ready = rooms.iter().filter(|room| room.is_ready());
        let members = ready.map(|room| room.len()).sum();
        for room in &rooms {
            room.set_ready(false);
        }
        members
    }

    /// Ends the sessions of all members of all rooms.
    pub(super) fn evict_all(&self, reason: TerminationReason) {
        let rooms: Vec<_> = self.lock().values().map(Arc::clone).collect();
        for room in rooms {
            room.evict_all(reason);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Room>>> {
        // A panic of another thread leaves the map consistent.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The membership of a session in a room. Dropping it leaves the room.
#[derive(Debug)]
pub(crate) struct Membership {
    rooms: Arc<Rooms>,
    name: Arc<str>,
    pub(crate) room: Arc<Room>,
    /// Number of the member's connection.
    id: u64,
}

impl Membership {
    /// Joins a room. Returns `None` if there are too many rooms.
    pub(crate) fn join(rooms: &Arc<Rooms>, name: &str, handle: &Arc<SessionHandle>) -> Option<Self> {
        loop {
            let room = rooms.get_or_create(name)?;
            if room.join(handle) {
                return Some(Self { rooms: Arc::clone(rooms), name: name.into(), room, id: handle.id() });
            }
            rooms.remove(name, &room);
        }
    }

    /// Returns the name of the room.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if self.room.leave(self.id) {
            self.rooms.remove(&self.name, &self.room);
        }
    }
}
