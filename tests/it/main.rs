//! Behaviour of the server and the load generator, as seen from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::similar_names,
    clippy::format_collect,
    clippy::decimal_bitwise_operands,
    unreachable_pub,
    reason = "a test says what it saw by failing"
)]

mod answers;
mod binary;
mod capacity;
mod close;
mod compression;
mod deflate;
mod deflate_faults;
mod echo;
mod extensions;
mod fuzz;
mod handshake;
mod harness;
mod keepalive;
mod limits;
mod page;
mod process;
mod push;
mod shutdown;
mod tap;
