//! Rooms of two instances that share them over a real Redis.
//!
//! `scripts/test` installs `redis-server` from Debian. The tests are ignored without it.

mod files;
mod lost;
mod rooms;
mod server;
mod start;
mod tls;
