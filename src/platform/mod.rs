//! Interfaces to the operating system, and utilities that depend on nothing else in the crate.

pub mod limits;
pub(crate) mod memory_budget;
pub mod pool;
pub(crate) mod process_usage;
pub(crate) mod quiet_panic;
pub mod random;
pub(crate) mod readiness;
pub mod service_manager;
pub mod signals;
pub mod tune;
pub(crate) mod turn_state;
mod wake_timers;
pub(crate) mod wake_up;
