//! One connection from the SYN to its end, and the messages on it.

pub(crate) mod connecting;
pub(crate) mod context;
mod deliveries;
pub(crate) mod failure;
mod gaps;
pub(crate) mod in_flight;
pub(crate) mod latency;
pub(crate) mod load_connection;
pub(crate) mod open_connection;
pub(crate) mod open_scope;
pub(crate) mod opening;
pub(crate) mod refusal;
mod replies;
pub(crate) mod room;
mod sending;
pub(crate) mod service_clock;
pub(crate) mod tunnel;
pub(crate) mod unassigned;
pub(crate) mod upgrade;
