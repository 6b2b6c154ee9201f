//! What the operating system offers: limits, signals, scheduling, and what is built from it alone.

pub mod limits;
pub(crate) mod pipe_semaphore;
pub mod pool;
pub mod random;
pub(crate) mod scheduling;
pub mod signals;
