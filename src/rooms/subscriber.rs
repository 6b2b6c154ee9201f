//! The subscriber: one thread that receives the blocks of all rooms that have members in this instance.
//!
//! It subscribes to the channel of each such room, so that an instance does not receive what none of its
//! clients gets. It waits for Redis only: a message of the publisher on a channel of the process wakes it
//! when rooms were created or removed. It writes to no client: workers do.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use log::{debug, error, info, warn};
use redis::{Connection, RedisError, RedisResult, Value, cmd};
use tungstenite::Bytes;

use super::backoff::Backoff;
use super::block::{Block, SHARED_MIN};
use super::channel::{control_channel, room_channel, room_of_channel};
use super::client::RedisClient;
use super::publisher::HEARTBEAT;
use super::registry::Rooms;
use super::relay::Relay;
use crate::config::RoomsLost;
use crate::platform::memory_budget::MemoryBudget;
use crate::transport::termination::TerminationReason;

/// Time without a message, also of the publisher, after which the connection counts as lost.
const SILENCE_TIMEOUT: Duration = HEARTBEAT.saturating_mul(3);

/// The state of the subscriber's thread.
pub(super) struct Subscriber {
    pub(super) relay: Arc<Relay>,
    pub(super) rooms: Arc<Rooms>,
    pub(super) client: RedisClient,
    pub(super) memory: Arc<MemoryBudget>,
    pub(super) lost: RoomsLost,
    /// Channel over which the publisher wakes this thread.
    pub(super) id: u64,
    pub(super) subscriptions: HashMap<String, Subscription>,
}

/// A subscription to the channel of a room. Changes are asked for only when the last one is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subscription {
    Begins,
    Confirmed,
    Ends,
}

/// A message of Redis to a subscriber: kind, channel, and payload or number of channels.
struct Pushed {
    kind: Vec<u8>,
    channel: String,
    payload: Vec<u8>,
}

impl Subscriber {
    /// Receives until the relay stops. Opens a new connection if one is lost.
    pub(super) fn run(mut self, mut connection: Connection) {
        loop {
            let end = self.serve(&mut connection);
            self.relay.set_subscriber_up(false);
            let Err(error) = end else { return };
            // Frees its descriptor for the next one.
            drop(connection);
            self.on_lost(&error);
            match self.reconnect() {
                Some(new) => connection = new,
                None => return,
            }
            self.relay.counters().reconnects.fetch_add(1, Relaxed);
        }
    }

    /// Handles the loss of the connection: blocks of other instances may have been missed from now on.
    fn on_lost(&self, error: &RedisError) {
        let members = self.rooms.set_unready();
        self.relay.fail();
        let address = &self.client.address;
        let consequence = match self.lost {
            RoomsLost::Close => {
                self.rooms.evict_all(TerminationReason::RoomsLost);
                "are closed with 1012"
            }
            RoomsLost::Wait => {
                self.relay.counters().interrupted.fetch_add(members as u64, Relaxed);
                "may miss messages until it is back"
            }
        };
        error!(
            address, members, error:%;
            "rooms: the connection to Redis at {address} was lost: {error}; {members} members {consequence}"
        );
    }

    /// Opens a connection. Returns `None` if the relay stops.
    fn reconnect(&self) -> Option<Connection> {
        let mut backoff = Backoff::new();
        while self.relay.sleep(backoff.next()) {
            match self.client.connect() {
                Ok(connection) => return Some(connection),
                Err(error) => debug!("rooms: the subscriber cannot connect: {error}"),
            }
        }
        None
    }

    /// Receives until the relay stops.
    fn serve(&mut self, connection: &mut Connection) -> RedisResult<()> {
        connection.set_read_timeout(Some(SILENCE_TIMEOUT))?;
        self.subscriptions.clear();
        let control = control_channel(self.id);
        connection.send_packed_command(&cmd("SUBSCRIBE").arg(&control).get_packed_command())?;
        let mut is_up = false;
        loop {
            let Pushed { kind, channel, payload } = receive(connection)?;
            let mut commands = Vec::new();
            match (&kind[..], room_of_channel(&channel)) {
                (b"message", Some(room)) => self.deliver(room, payload),
                (b"subscribe", Some(room)) => {
                    self.confirm(room, Some(Subscription::Confirmed), &mut commands);
                }
                (b"unsubscribe", Some(room)) => self.confirm(room, None, &mut commands),
                _ if channel != control => {}
                _ if self.relay.is_stopping() => return Ok(()),
                _ => self.settle_all(&mut commands),
            }
            if !commands.is_empty() {
                connection.send_packed_command(&commands)?;
            }
            if !is_up && self.subscriptions.values().all(|state| *state == Subscription::Confirmed) {
                is_up = true;
                self.relay.set_subscriber_up(true);
                let (address, rooms) = (&self.client.address, self.subscriptions.len());
                info!(address, rooms; "rooms: subscribed on Redis at {address}, {rooms} rooms");
            }
        }
    }

    /// Notes the confirmed state of a room's subscription.
    fn confirm(&mut self, room: &str, state: Option<Subscription>, commands: &mut Vec<u8>) {
        match state {
            Some(state) => drop(self.subscriptions.insert(room.to_owned(), state)),
            None => drop(self.subscriptions.remove(room)),
        }
        self.settle(room, commands);
    }

    /// Compares all subscriptions with the rooms.
    fn settle_all(&mut self, commands: &mut Vec<u8>) {
        let mut names = self.rooms.names();
        names.extend(self.subscriptions.keys().cloned());
        for name in names {
            self.settle(&name, commands);
        }
    }

    /// Compares the subscription to a room with the rooms: its members may send once it is confirmed. Adds
    /// the command that begins or ends it.
    fn settle(&mut self, name: &str, commands: &mut Vec<u8>) {
        let (command, next) = match (self.subscriptions.get(name), self.rooms.get(name)) {
            (None, Some(_)) => ("SUBSCRIBE", Subscription::Begins),
            (Some(Subscription::Confirmed), None) => ("UNSUBSCRIBE", Subscription::Ends),
            (Some(Subscription::Confirmed), Some(room)) => {
                room.set_ready(true);
                return;
            }
            _ => return,
        };
        self.subscriptions.insert(name.to_owned(), next);
        commands.extend(cmd(command).arg(room_channel(name)).get_packed_command());
    }

    /// Queues a block for the members of its room, and lets a worker send it.
    fn deliver(&self, name: &str, payload: Vec<u8>) {
        let Some(room) = self.rooms.get(name).filter(|room| room.is_ready()) else { return };
        let Some(mut block) = Block::parse(Bytes::from(payload)) else {
            warn!(room = name; "rooms: ignored a message for the room {name:?} that no ws-echo has published");
            return;
        };
        if block.frames.len() >= SHARED_MIN {
            let Some(frames) = self.memory.count_shared(block.frames) else {
                room.evict_all(TerminationReason::RoomMemory);
                return;
            };
            block.frames = frames;
        }
        self.relay.counters().received.fetch_add(block.messages, Relaxed);
        room.queue(&block);
        room.schedule_flush();
    }
}

/// Receives a message of Redis. Blocks for at most [`SILENCE_TIMEOUT`].
fn receive(connection: &mut Connection) -> RedisResult<Pushed> {
    let value = connection.recv_response()?;
    let unexpected = || RedisError::from(io::Error::other("unexpected message of Redis"));
    let items = match value {
        Value::Array(items) => items,
        Value::ServerError(error) => return Err(io::Error::other(error.to_string()).into()),
        _ => return Err(unexpected()),
    };
    let mut items = items.into_iter();
    let mut bytes = || match items.next() {
        Some(Value::BulkString(bytes)) => Some(bytes),
        Some(Value::SimpleString(text)) => Some(text.into_bytes()),
        Some(Value::Int(_)) => Some(Vec::new()),
        _ => None,
    };
    let (kind, channel, payload) = (bytes(), bytes(), bytes());
    let channel = channel.and_then(|channel| String::from_utf8(channel).ok());
    let (Some(kind), Some(channel), Some(payload)) = (kind, channel, payload) else {
        return Err(unexpected());
    };
    Ok(Pushed { kind, channel, payload })
}
