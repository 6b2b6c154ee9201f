//! `/broadcast`: sends each message to all members of a room.
//!
//! What a session has received in one turn is one block. At the end of the turn, or when the block is large,
//! the worker queues it for every member under the lock of the room, including the sender. Therefore all
//! members receive the messages in the same order. Then the queues are sent, one write for each member;
//! workers that wait help. No thread waits for a member: while the queue of a member that reads is long, the
//! sender's session reads nothing, and a member whose queue stays long is evicted.
//!
//! If instances share the rooms, the block goes to Redis instead ([`rooms`](crate::rooms)).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tungstenite::Message;

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::config::RoomsLost;
use crate::rooms::block::{Block, BlockBuilder, SHARED_MIN};
use crate::rooms::registry::{Membership, Rooms};
use crate::rooms::relay::{Refusal, Relay};
use crate::session::end::OUT_OF_MEMORY;
use crate::session::endpoint::{Endpoint, Next};
use crate::session::websocket::WebSocketSession;
use crate::transport::termination::TerminationReason;

/// Maximum size of a message in a room, in bytes.
const MAX_MESSAGE: usize = 1 << 20;

/// Length of a block, in bytes, from which on it does not wait for the end of the turn.
const BLOCK_MAX: usize = 64 << 10;

/// Time between two looks at what a session waits for: members whose queues are long, the queue to Redis, or
/// the subscription to the room.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// A member of a room.
struct Member {
    rooms: Arc<Rooms>,
    name: String,
    /// Present from the opening on.
    membership: Option<Membership>,
    /// Messages that were not queued for the members.
    block: BlockBuilder,
    /// A block was queued for the members, and not sent.
    unsent: bool,
}

impl Endpoint for Member {
    fn on_open(&mut self, session: &mut WebSocketSession) -> Next {
        self.membership = Membership::join(&self.rooms, &self.name, &session.handle());
        if self.membership.is_none() {
            return Next::Close(1013, "too many rooms".to_owned());
        }
        if let Some(relay) = self.rooms.relay()
            && !relay.is_connected()
            && session.config().rooms_lost == RoomsLost::Close
        {
            let (code, reason) = TerminationReason::RoomsLost.close_code_and_reason();
            return Next::Close(code, reason.to_owned());
        }
        if self.must_wait() {
            pause(session);
        }
        Next::Continue
    }

    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next {
        if message.len() > MAX_MESSAGE {
            self.send_block(session);
            return Next::Close(1009, "message exceeds 1 MiB, the limit of a room".to_owned());
        }
        self.block.add(&message);
        if self.block.len() < BLOCK_MAX { Next::Continue } else { self.send_block(session) }
    }

    fn on_wake(&mut self, session: &mut WebSocketSession) -> Next {
        if self.must_wait() {
            pause(session);
        } else {
            session.resume_reading();
        }
        Next::Continue
    }

    fn before_wait(&mut self, session: &mut WebSocketSession) {
        if let Next::Close(code, reason) = self.send_block(session) {
            session.close(code, reason);
        }
        if std::mem::take(&mut self.unsent)
            && let Some(membership) = &self.membership
        {
            membership.room.flush(session.handle().readiness());
        }
    }
}

impl Member {
    /// Returns whether the session must not read: for the subscription to its room, for the queue to Redis,
    /// or for other members.
    fn must_wait(&self) -> bool {
        let Some(Membership { room, .. }) = &self.membership else { return false };
        let waits_for_relay =
            |relay: &Arc<Relay>| relay.is_connected() && (!room.is_ready() || relay.is_backlogged());
        self.rooms.relay().is_some_and(waits_for_relay) || (room.is_slow() && room.has_slow_members())
    }

    /// Queues the messages received so far for the members, or for Redis.
    fn send_block(&mut self, session: &mut WebSocketSession) -> Next {
        let (Some(block), Some(membership)) = (self.block.take(), &self.membership) else {
            return Next::Continue;
        };
        let (room, handle) = (&membership.room, session.handle());
        let Some(block) = counted(block, session) else {
            return Next::Close(1013, OUT_OF_MEMORY.to_owned());
        };
        let backlogged = match self.rooms.relay() {
            None => {
                room.queue(&block);
                self.unsent = true;
                false
            }
            Some(relay) => match relay.submit(membership.name(), block, &handle, room.is_ready()) {
                Ok(backlogged) => backlogged,
                Err(Refusal::Full) => return Next::Close(1013, OUT_OF_MEMORY.to_owned()),
                Err(Refusal::Disconnected) => return not_published(),
            },
        };
        if backlogged || room.is_slow() {
            pause(session);
        }
        Next::Continue
    }
}

/// Stops reading for a moment.
fn pause(session: &mut WebSocketSession) {
    session.pause_reading();
    session.wake_at(Instant::now() + RETRY_INTERVAL);
}

/// Returns the Close for messages that cannot be published.
fn not_published() -> Next {
    let (code, reason) = TerminationReason::NotPublished.close_code_and_reason();
    Next::Close(code, reason.to_owned())
}

/// Returns a block that is counted as memory once for all members, if it is long. Returns `None` if memory is
/// short.
fn counted(block: Block, session: &WebSocketSession) -> Option<Block> {
    if block.frames.len() < SHARED_MIN {
        return Some(block);
    }
    let frames = session.memory_budget().count_shared(block.frames)?;
    Some(Block { frames, ..block })
}

/// Builds `/broadcast`.
pub(super) fn build(parameters: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    let name = parameters.text("room").to_owned();
    if name.is_empty() {
        return Err("room takes a name of 1 to 64 bytes".to_owned());
    }
    let rooms = Arc::clone(context.rooms);
    Ok(Route::upgrade(Member {
        rooms,
        name,
        membership: None,
        block: BlockBuilder::default(),
        unsent: false,
    }))
}
