//! The threads of a run: the coordinator, and the drivers with their event loops.

pub(crate) mod aggregate;
pub(crate) mod connect_schedule;
pub(crate) mod coordinator;
pub(crate) mod dealer;
pub(crate) mod driver;
pub(crate) mod interval;
#[cfg(test)]
mod last_messages_tests;
pub(crate) mod outcome;
pub(crate) mod reconnects;
pub(crate) mod redirects;
mod run_queue;
pub(crate) mod stage;
pub(crate) mod threads;
pub(crate) mod timer;
pub(crate) mod transitions;
