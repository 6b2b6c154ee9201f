//! The bytes of one connection: the worker reads its socket, several threads write frames to it.
//!
//! | file | content |
//! |---|---|
//! | `connection` | what the worker and other threads share: frame writer, counters |
//! | `phase` | the progress of a connection |
//! | `frame_writer`, `write_queue`, `parts` | the locked queue of frames, and the worker's methods that add to it and send it |
//! | `push` | the methods for other threads |
//! | `record_layer` | sends the queue's bytes as they are or as TLS records; performs the TLS handshake; decrypts |
//! | `stream` | the `Read` and `Write` that tungstenite uses |
//! | `socket_reader`, `tls_reader` | receive raw bytes; decrypt them |
//! | [`proxy_header`] | the header of the PROXY protocol |
//! | `waiting`, `tls_records` | what a session waits for; where TLS records end |
//! | [`read_ahead`] | one large receive in place of many small ones |
//! | `termination` | why a thread other than the worker ended a session |

pub(crate) mod connection;
pub(crate) mod frame_writer;
#[cfg(test)]
mod frame_writer_tests;
mod parts;
pub(crate) mod phase;
pub mod proxy_header;
pub(crate) mod push;
pub mod read_ahead;
pub mod record_layer;
mod socket_reader;
pub(crate) mod stream;
pub(crate) mod termination;
pub(crate) mod tls_reader;
mod tls_records;
pub(crate) mod waiting;
pub(crate) mod write_queue;
