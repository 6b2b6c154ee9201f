//! How bytes get from and to a peer: a socket that one worker reads, and that several threads write frames to.

pub(crate) mod adaptive_yield;
pub(crate) mod blocking_stream;
pub(crate) mod connection;
pub(crate) mod frame_writer;
#[cfg(test)]
mod frame_writer_tests;
pub mod mss;
pub mod read_ahead;
pub mod record_layer;
mod sched_policy;
mod socket_reader;
pub(crate) mod termination;
pub(crate) mod tls_reader;
pub(crate) mod transient;
pub(crate) mod try_send;
pub(crate) mod write_queue;
