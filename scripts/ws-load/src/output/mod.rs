//! What is shown and written: live line, summary, JSON, interval log, page.

pub(crate) mod comparison;
mod conclusions;
pub(crate) mod csv;
pub(crate) mod exposition;
pub(crate) mod found;
pub(crate) mod generator;
pub(crate) mod hdr_log;
pub(crate) mod host_info;
pub(crate) mod html;
pub(crate) mod in_flight_limit;
pub(crate) mod junit;
pub(crate) mod log_format;
pub(crate) mod merged_logs;
pub(crate) mod merged_report;
pub(crate) mod metrics_listener;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod run_info;
pub(crate) mod series;
pub(crate) mod shortfall;
mod style;
pub(crate) mod summary;
pub(crate) mod svg;
pub(crate) mod verdict;
