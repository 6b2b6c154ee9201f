//! The options of a run, and the plan that is made of them.

pub(crate) mod address;
pub(crate) mod arrivals;
pub(crate) mod cli;
pub(crate) mod connection_fields;
pub(crate) mod expectation;
pub(crate) mod fan_out;
pub(crate) mod input_files;
pub(crate) mod mode;
pub(crate) mod output_files;
pub(crate) mod payload;
pub(crate) mod plan;
pub(crate) mod rate_search;
pub(crate) mod send_schedule;
pub(crate) mod sizes;
pub(crate) mod slot_queue;
pub(crate) mod stages;
pub(crate) mod start_at;
pub(crate) mod target;
pub(crate) mod template;
pub(crate) mod tls;
pub(crate) mod url;
