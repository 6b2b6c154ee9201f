//! What each path does with a session: a few straight lines of blocking code each.
//!
//! [`table`] lists the endpoints; requests are checked against it, and everything that describes them is made
//! from it. A file each says what they do, by family.

mod backlog;
mod broadcast;
mod close;
mod delay;
pub mod echo;
mod fragment;
mod info;
mod invalid;
pub mod parameters;
mod push;
mod rooms;
pub(crate) mod route;
pub mod routes;
mod silent;
mod stats;
mod status;
pub mod table;
mod throttle;
mod throughput;
