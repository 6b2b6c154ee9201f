//! What is counted and measured, and how it is evaluated.

pub(crate) mod assertion;
pub(crate) mod counters;
pub(crate) mod histogram_rows;
mod number;
pub(crate) mod percentiles;
pub(crate) mod recorder;
pub(crate) mod timeseries;
