//! Interfaces to the operating system, and utilities that depend on nothing else in the crate.

pub mod limits;
pub(crate) mod pipe_semaphore;
pub mod pool;
pub(crate) mod process_usage;
pub(crate) mod quiet_panic;
pub mod random;
pub(crate) mod scheduling;
pub mod signals;
