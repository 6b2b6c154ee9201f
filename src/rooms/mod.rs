//! The rooms of `/broadcast`: in this process, or shared with other instances over Redis.
//!
//! Without `--rooms` the worker of the sender queues a block of messages for all members of its room
//! ([`room`]). With `--rooms` it hands the block to the [`relay`]:
//!
//! ```text
//! workers ── block ──► relay: bounded queue ──► publisher thread ── PUBLISH ──► Redis
//! workers ◄── flush ── room ◄── block ── subscriber thread ◄── channel of the room ──┘
//! ```
//!
//! Every instance delivers only what its subscription returns, also to the sender, so all members of a room
//! receive its messages in the order of its channel.

mod backoff;
pub(crate) mod block;
mod channel;
mod client;
mod flush;
mod publisher;
pub(crate) mod registry;
pub(crate) mod relay;
mod room;
mod subscriber;
pub(crate) mod threads;
