//! Behaviour of `ws-load`, as a process, against test servers and `ws-echo`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::similar_names,
    clippy::format_collect,
    clippy::decimal_bitwise_operands,
    unreachable_pub,
    dead_code,
    reason = "a failing test shows what it saw"
)]

mod addresses;
mod asserts;
mod command_line;
mod compare;
mod connections;
mod data;
mod expectation;
mod fan_out;
mod find;
mod fleet;
mod handshakes;
#[path = "../../../../tests/it/harness.rs"]
mod harness;
mod http_proxy;
mod load_test;
mod merge;
mod metrics_listen;
mod one_way;
mod output;
mod own_server;
mod rate;
mod reconnect;
mod retransmits;
mod run;
mod runs;
mod signals;
mod starved;
mod terminal;
mod test_servers;
mod tls;
mod unix;
mod urls;
