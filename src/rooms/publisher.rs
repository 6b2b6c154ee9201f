//! The publisher: one thread that publishes the blocks of all members of this instance.
//!
//! It publishes all blocks that are queued in one write, and reads the replies. A block whose reply does not
//! come, or that Redis refuses, closes its sender with 1013.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use log::{debug, warn};
use redis::{Connection, RedisResult, Value, cmd};

use super::backoff::Backoff;
use super::channel::{control_channel, room_channel};
use super::client::{RedisClient, is_reply};
use super::relay::{Relay, Step, Submission};
use crate::session::handle::SessionHandle;
use crate::transport::phase::Phase;

/// Time between two messages to the subscriber, which shows that both connections work.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);

/// Maximum length of blocks that are joined, in bytes.
const JOIN_MAX: usize = 64 << 10;

/// The state of the publisher's thread.
pub(super) struct Publisher {
    pub(super) relay: Arc<Relay>,
    pub(super) client: RedisClient,
    /// Channel of this process's subscriber.
    pub(super) id: u64,
}

/// Consecutive blocks of one room, as one message to Redis.
struct Publication {
    room: Arc<str>,
    frames: Vec<u8>,
    senders: Vec<(Arc<SessionHandle>, u64)>,
}

impl Publisher {
    /// Publishes until the relay stops. Opens a new connection if one is lost.
    pub(super) fn run(self, mut connection: Connection) {
        loop {
            self.relay.set_publisher_up(true);
            let Err(error) = self.serve(&mut connection) else { return };
            self.relay.set_publisher_up(false);
            // Frees its descriptor for the next one.
            drop(connection);
            self.relay.fail();
            let address = &self.client.address;
            warn!(address, error:%; "rooms: cannot publish on Redis at {address}: {error}; connecting again");
            match self.reconnect() {
                Some(new) => connection = new,
                None => return,
            }
            self.relay.counters().reconnects.fetch_add(1, Relaxed);
        }
    }

    /// Opens a connection. Returns `None` if the relay stops.
    fn reconnect(&self) -> Option<Connection> {
        let mut backoff = Backoff::new();
        while self.relay.sleep(backoff.next()) {
            match self.client.connect() {
                Ok(connection) => return Some(connection),
                Err(error) => debug!("rooms: the publisher cannot connect: {error}"),
            }
        }
        None
    }

    /// Publishes until the relay stops.
    fn serve(&self, connection: &mut Connection) -> RedisResult<()> {
        loop {
            let step = self.relay.begin_step(HEARTBEAT);
            let last = step.last;
            let bytes = step.submissions.iter().map(|submission| submission.block.frames.len()).sum();
            self.publish(connection, step)?;
            self.relay.end_step(bytes);
            if last {
                return Ok(());
            }
        }
    }

    /// Publishes the blocks of a step, and reads the replies.
    fn publish(&self, connection: &mut Connection, step: Step) -> RedisResult<()> {
        let publications = join_blocks(step.submissions);
        let mut commands = Vec::new();
        if step.wake_subscriber {
            commands.extend(cmd("PUBLISH").arg(control_channel(self.id)).arg("").get_packed_command());
        }
        for publication in &publications {
            let mut publish = cmd("PUBLISH");
            publish.arg(room_channel(&publication.room)).arg(&publication.frames);
            commands.extend(publish.get_packed_command());
        }
        connection.send_packed_command(&commands)?;
        if step.wake_subscriber
            && let Err(error) = reply(connection)?
        {
            warn!(error; "rooms: Redis has refused a message to the subscriber of this process: {error}");
        }
        for publication in publications {
            let receivers = reply(connection)?;
            self.settle(&publication, receivers);
        }
        Ok(())
    }

    /// Counts a publication that Redis has sent to so many subscribers. Closes its senders with 1013 if there
    /// were none, although a sender is a member.
    fn settle(&self, publication: &Publication, receivers: Result<i64, String>) {
        match receivers {
            Ok(1..) => {
                let messages = publication.senders.iter().map(|(_, messages)| messages).sum();
                self.relay.counters().published.fetch_add(messages, Relaxed);
                return;
            }
            Ok(_) => {}
            Err(error) => {
                let room = &*publication.room;
                warn!(room, error; "rooms: Redis has refused a message for the room {room:?}: {error}");
            }
        }
        let open = |sender: &SessionHandle| sender.phase() == Phase::Open;
        for (sender, messages) in publication.senders.iter().filter(|(sender, _)| open(sender)) {
            self.relay.close_sender(sender, *messages);
        }
    }
}

/// Reads the reply to a PUBLISH: the number of subscribers, or the error that Redis has replied.
fn reply(connection: &mut Connection) -> RedisResult<Result<i64, String>> {
    match connection.recv_response() {
        Ok(Value::Int(receivers)) => Ok(Ok(receivers)),
        Ok(Value::ServerError(error)) => Ok(Err(error.to_string())),
        Ok(_) => Ok(Err("unexpected reply".to_owned())),
        Err(error) if is_reply(&error) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Joins consecutive blocks of the same room.
fn join_blocks(submissions: Vec<Submission>) -> Vec<Publication> {
    let mut joined: Vec<Publication> = Vec::new();
    for Submission { room, block, sender } in submissions {
        let sender = (sender, block.messages);
        match joined.last_mut() {
            Some(last) if last.room == room && last.frames.len() + block.frames.len() <= JOIN_MAX => {
                last.frames.extend_from_slice(&block.frames);
                last.senders.push(sender);
            }
            _ => joined.push(Publication { room, frames: block.frames.into(), senders: vec![sender] }),
        }
    }
    joined
}
