//! The bytes of one connection: the worker reads its socket, several threads write frames to it.
//!
//! | file | content |
//! |---|---|
//! | `connection` | what the worker and other threads share: frame writer, counters, phase |
//! | `frame_writer`, `write_queue` | the locked queue of frames, and the worker's methods |
//! | `try_send` | the methods for other threads, which never block |
//! | `record_layer` | sends the queue's bytes as they are or as TLS records; performs the TLS handshake; decrypts |
//! | `blocking_stream` | the `Read` and `Write` that tungstenite uses |
//! | `socket_reader`, `tls_reader` | receive raw bytes, with a deadline; decrypt them |
//! | `waiting`, `tls_records` | what a worker waits for in a read; where TLS records end |
//! | [`read_ahead`] | one large receive in place of many small ones |
//! | [`mss`] | where a write ends if more data follows |
//! | `adaptive_yield`, `sched_policy` | whether a worker yields before it blocks, and its scheduling policy |
//! | `termination` | why a thread other than the worker ended a session |
//! | `transient` | errors after which a call is repeated |

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
mod tls_records;
pub(crate) mod transient;
pub(crate) mod try_send;
pub(crate) mod waiting;
pub(crate) mod write_queue;
