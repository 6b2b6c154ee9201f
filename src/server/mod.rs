//! The server: listeners and accept loops, admission, scheduler, workers, supervisor, shutdown.

mod accept;
mod address_limit;
mod admin;
mod admission;
pub mod bind;
mod client_address;
mod close_timeout;
mod connection;
mod drain;
mod first_bytes;
mod freeze;
mod http_routes;
pub mod inherited;
mod lingering;
pub mod listen_address;
pub mod listener;
mod opening;
mod place;
pub mod ready;
mod reject_reason;
mod scheduler;
mod session_timers;
pub mod shutdown;
mod state;
mod supervisor;
mod unix_socket;
mod workers;
