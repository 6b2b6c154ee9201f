//! The server: listeners and accept loops, admission, workers, rejector, supervisor, shutdown.

mod accept;
mod address_limit;
mod admission;
mod connection;
mod drain;
mod freeze;
mod http_routes;
pub mod listener;
pub mod ready;
mod rejected_connection;
mod rejector;
mod session_timers;
pub mod shutdown;
mod state;
mod supervisor;
mod workers;
