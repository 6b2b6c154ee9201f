//! What the steps of opening a connection work with.

use super::context::DriverContext;
use mio::{Registry, Token};
use std::time::Instant;

/// The poll, the token of the connection in it, its numbers, what its thread shares, and the present time.
pub(crate) struct OpenScope<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) token: Token,
    /// The number of the connection over all threads, and how often it was opened before.
    pub(crate) connection: u32,
    pub(crate) attempt: u64,
    pub(crate) ctx: &'a mut DriverContext,
    pub(crate) now: Instant,
}
