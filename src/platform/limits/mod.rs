//! Limits of the process, its control groups and the system on the numbers of workers and connections.
//!
//! The standard library aborts the process if a thread lacks memory mappings, so the limits are checked
//! before the first worker starts. Sources: `proc(5)`, `getrlimit(2)`, `cgroups(7)`.

mod connections;
mod limit;
mod memory;
mod system;
mod threads;

pub use connections::fit_connections;
pub(crate) use connections::spare_files;
pub use limit::Fitted;
pub(crate) use memory::usable_memory;
pub use memory::{default_memory, excess_memory};
pub use threads::fit_workers;
pub(crate) use threads::free_address_space;
