//! What is counted: counters of a session, the snapshot for scrapers, the summary that is printed at the end.

pub(crate) mod counters;
mod exposition;
pub mod snapshot;
pub mod summary;
