//! The rooms of `/broadcast`, and their members.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tungstenite::Message;

use crate::session::handle::{PushError, SessionHandle};
use crate::transport::push::HIGH_WATER_MARK;

/// Maximum number of rooms.
const MAX_ROOMS: usize = 1024;

/// Time for which the queue of a member may stay longer than 256 KiB; then the member is evicted as a slow
/// reader. Longer than a burst that fills the queue of a member that reads.
const SLOW_MEMBER_TIMEOUT: Duration = Duration::from_millis(50);

/// Length of a member's queue, in bytes, at which the member is evicted at once. Large messages are in memory
/// once for all members.
const MAX_QUEUE: usize = 4 << 20;

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
    members: Vec<Member>,
    /// The last member has left. No session may join; the next one creates a new room of this name.
    abandoned: bool,
}

/// One member.
struct Member {
    handle: Arc<SessionHandle>,
    /// Since when its queue has been longer than 256 KiB.
    slow_since: Option<Instant>,
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
    /// Queues a message for all members, in the order of joining. Returns whether the queue of a member is
    /// long: then the sender has to wait until [`has_slow_members`](Self::has_slow_members) returns `false`.
    pub(super) fn queue(&self, message: &Message) -> bool {
        let mut slow = false;
        lock(&self.0).members.retain_mut(|member| match member.handle.push_queued(message, MAX_QUEUE) {
            Ok(()) => {
                slow |= member.is_slow();
                true
            }
            // A closed member leaves the room by itself.
            Err(PushError::Closed) => true,
            Err(PushError::Busy) => {
                member.handle.evict_slow_consumer();
                false
            }
        });
        slow
    }

    /// Returns whether the queue of a member is long. Evicts members whose queue has been long for
    /// [`SLOW_MEMBER_TIMEOUT`], with Close 1013.
    pub(super) fn has_slow_members(&self) -> bool {
        let (mut slow, now) = (false, Instant::now());
        lock(&self.0).members.retain_mut(|member| {
            let is_slow = member.is_slow();
            let evict = member.slow_since.is_some_and(|since| now - since >= SLOW_MEMBER_TIMEOUT);
            if evict {
                member.handle.evict_slow_consumer();
            }
            slow |= is_slow && !evict;
            !evict
        });
        slow
    }

    /// Sends the queues of all members, as far as the kernel takes them at once. The members' own sessions
    /// send the rest.
    pub(super) fn flush(&self) {
        // Not under the lock: members may join and leave meanwhile.
        let handles: Vec<_> = lock(&self.0).members.iter().map(|member| Arc::clone(&member.handle)).collect();
        for handle in &handles {
            handle.flush();
        }
    }
}

impl Member {
    /// Returns whether the queue is long, and notes since when.
    fn is_slow(&mut self) -> bool {
        let is_slow = self.handle.writer().queued_bytes() > HIGH_WATER_MARK;
        self.slow_since = is_slow.then(|| self.slow_since.unwrap_or_else(Instant::now));
        is_slow
    }
}

/// The membership of a session in a room. Dropping it leaves the room.
pub(super) struct Membership {
    rooms: Arc<Rooms>,
    name: String,
    pub(super) room: Arc<Room>,
    /// Number of the member's connection.
    id: u64,
}

impl Membership {
    /// Joins a room. Returns `None` if there are too many rooms.
    pub(super) fn join(rooms: &Arc<Rooms>, name: &str, handle: &Arc<SessionHandle>) -> Option<Self> {
        loop {
            let room = rooms.get_or_create(name)?;
            let mut members = lock(&room.0);
            if !members.abandoned {
                members.members.push(Member { handle: Arc::clone(handle), slow_since: None });
                drop(members);
                return Some(Self { rooms: Arc::clone(rooms), name: name.to_owned(), room, id: handle.id() });
            }
            drop(members);
            rooms.remove(name, &room);
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut members = lock(&self.room.0);
        members.members.retain(|member| member.handle.id() != self.id);
        members.abandoned = members.members.is_empty();
        let abandoned = members.abandoned;
        drop(members);
        if abandoned {
            self.rooms.remove(&self.name, &self.room);
        }
    }
}

/// Locks a mutex whose data is consistent even after a panic of another thread.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
