//! Integration tests of the server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::similar_names,
    clippy::format_collect,
    clippy::decimal_bitwise_operands,
    unreachable_pub,
    reason = "a test reports by panicking"
)]

mod admin;
mod bidi;
mod browser;
mod bundle;
mod capacity;
mod certificate;
mod certificate_reload;
mod clients;
mod close;
mod close_codes;
mod commands;
mod container;
mod deflate;
mod deflate_client;
mod deflate_faults;
mod deflate_properties;
mod deployment;
mod documentation;
mod echo;
mod endpoints;
mod faults;
mod frame_inspector;
mod freeze;
mod fuzz;
mod handshake;
mod harness;
mod http_errors;
mod instance;
mod keepalive;
mod layers;
mod limits;
mod listening;
mod logging;
mod memory;
mod memory_budget;
mod memory_group;
mod metrics;
mod package;
mod page;
mod proc_status;
mod process;
mod process_start;
mod proxies;
mod proxy_protocol;
mod push;
mod random;
mod redis;
mod rejections;
mod restart;
mod rooms;
mod rooms_burst;
mod scratch;
mod server_process;
mod service_manager;
mod session_limits;
mod shutdown;
mod shutdown_storm;
mod stop_under_load;
mod systemd;
mod timing;
mod tls;
mod tls_server;
mod transports;
mod trust_proxy;
mod waiting_sessions;
mod webdriver;
