//! What is shown and written: live line, summary, JSON, interval log, page.

pub(crate) mod hdr_log;
pub(crate) mod host_info;
pub(crate) mod html;
pub(crate) mod in_flight_limit;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod run_info;
pub(crate) mod summary;
pub(crate) mod svg;
