//! Counters of a session, the snapshot of all totals, the Prometheus exposition and the final summary.

pub(crate) mod counters;
mod exposition;
mod histogram;
mod labels;
pub mod rooms;
pub mod snapshot;
pub mod summary;
