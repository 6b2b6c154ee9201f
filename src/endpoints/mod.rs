//! The endpoints: a few lines of code each, one file per endpoint or pair of endpoints.
//!
//! [`table`] lists them. Requests are checked against the table, and `GET /endpoints` is generated from it.

mod backlog;
mod broadcast;
mod close;
mod closures;
mod delay;
pub mod echo;
mod fragment;
mod fragments;
mod info;
mod invalid;
pub mod parameters;
mod push;
pub(crate) mod route;
pub mod routes;
mod shared_block;
mod silent;
mod stats;
mod status;
pub mod table;
mod throttle;
mod throughput;
