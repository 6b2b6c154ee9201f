//! Behaviour of the server, as seen from outside.

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
mod browser;
mod capacity;
mod certificate;
mod clients;
mod close;
mod compression;
mod deflate;
mod deflate_faults;
mod echo;
mod endpoints;
mod extensions;
mod faults;
mod fuzz;
mod handshake;
mod harness;
mod keepalive;
mod limits;
mod memory;
mod page;
mod process;
mod process_start;
mod push;
mod rooms;
mod scheduling;
mod shutdown;
mod tap;
mod timing;
mod tls;
mod webdriver;
