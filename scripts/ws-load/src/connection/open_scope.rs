//! What the steps of opening a connection work with.

use super::context::DriverContext;
use mio::{Registry, Token};
use std::time::Instant;

/// The poll, the token of the connection in it, what its thread shares, and the present time.
pub(crate) struct OpenScope<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) token: Token,
    pub(crate) ctx: &'a mut DriverContext,
    pub(crate) now: Instant,
}
