//! Behaviour of the server and the load generator, as seen from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test says what it saw by failing"
)]

mod load;
mod load_connections;
mod load_harness;
mod load_output;
mod load_rate;
mod load_servers;
