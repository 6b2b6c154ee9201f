//! Starts and ends the threads of shared rooms.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use log::info;
use redis::{Connection, RedisResult, cmd};

use super::channel::{control_channel, room_channel};
use super::client::{REPLY_TIMEOUT, RedisClient, start_error};
use super::publisher::Publisher;
use super::registry::Rooms;
use super::relay::Relay;
use super::subscriber::Subscriber;
use crate::config::{RoomsLost, RoomsUrl};
use crate::error::Error;
use crate::metrics::rooms::RoomCounters;
use crate::platform::memory_budget::MemoryBudget;
use crate::platform::random::Random;

/// Maximum time for the publisher to publish its queue at the end.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Descriptors to keep free for shared rooms: one for the connection of each thread.
pub(crate) const RESERVED_FILES: usize = 2;

/// The threads of shared rooms. Dropping it publishes what is queued, and ends them.
pub(crate) struct RelayThreads {
    relay: Arc<Relay>,
    /// Disconnected when both threads have ended.
    ended: Receiver<Infallible>,
}

/// Shares the rooms over Redis: opens two connections, and starts the publisher and the subscriber. Returns
/// `None` if the rooms are shared already. `prefix` begins the names of the threads.
///
/// # Errors
/// [`Error::Rooms`] if Redis cannot be reached or refuses a connection, [`Error::Thread`] if a thread cannot
/// be started.
pub(crate) fn share_rooms(
    rooms: &Arc<Rooms>,
    url: &RoomsUrl,
    lost: RoomsLost,
    memory: &Arc<MemoryBudget>,
    prefix: &str,
) -> Result<Option<RelayThreads>, Error> {
    let client = client(url)?;
    let id = Random::new().next_u64();
    let (to_publish, to_subscribe) =
        connect(&client, id).map_err(|error| start_error(&client.address, &error))?;
    let relay = Arc::new(Relay::new(memory, Arc::new(RoomCounters::default())));
    if !rooms.share(&relay) {
        return Ok(None);
    }
    let address = client.address.clone();
    info!(address = address.as_str(); "rooms: shared over Redis at {address}");
    let (running, ended) = bounded(0);
    let threads = RelayThreads { relay: Arc::clone(&relay), ended };
    let publisher = Publisher { relay: Arc::clone(&relay), client: client.clone(), id };
    let subscriber = Subscriber {
        relay,
        rooms: Arc::clone(rooms),
        client,
        memory: Arc::clone(memory),
        lost,
        id,
        subscriptions: HashMap::new(),
    };
    let publishing = running.clone();
    spawn(format!("{prefix}:pub"), "publishing", move || {
        publisher.run(to_publish);
        drop(publishing);
    })?;
    spawn(format!("{prefix}:sub"), "subscriptions", move || {
        subscriber.run(to_subscribe);
        drop(running);
    })?;
    if threads.relay.wait_until_connected(REPLY_TIMEOUT) {
        Ok(Some(threads))
    } else {
        let error = io::Error::other("it did not confirm the subscription in time");
        Err(start_error(&address, &error.into()))
    }
}

/// Checks what [`share_rooms`] needs of Redis. Returns its host and port.
///
/// # Errors
/// [`Error::Rooms`].
pub(crate) fn check_redis(url: &RoomsUrl) -> Result<String, Error> {
    let client = client(url)?;
    connect(&client, Random::new().next_u64()).map_err(|error| start_error(&client.address, &error))?;
    Ok(client.address)
}

fn client(url: &RoomsUrl) -> Result<RedisClient, Error> {
    RedisClient::new(url).map_err(|error| start_error("the URL of --rooms", &error))
}

/// Opens the connections of the publisher and of the subscriber, and checks that the user of the URL may use
/// the channels.
fn connect(client: &RedisClient, id: u64) -> RedisResult<(Connection, Connection)> {
    let (mut to_publish, mut to_subscribe) = (client.connect()?, client.connect()?);
    for channel in [control_channel(id), room_channel("")] {
        to_subscribe.as_pubsub().subscribe(&channel)?;
        cmd("PUBLISH").arg(&channel).arg("").exec(&mut to_publish)?;
    }
    Ok((to_publish, to_subscribe))
}

fn spawn(name: String, purpose: &'static str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let spawned = thread::Builder::new().name(name).spawn(run);
    spawned.map(drop).map_err(|source| Error::Thread { purpose, source })
}

impl Drop for RelayThreads {
    fn drop(&mut self) {
        self.relay.stop();
        // No value is sent. The time-out leaves the threads to the end of the process.
        let _ = self.ended.recv_timeout(STOP_TIMEOUT);
    }
}
