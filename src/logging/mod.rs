//! The logger, its formats, and the queue in front of standard error.

mod format;
mod logger;
mod queue;

pub(crate) use format::EscapedPreview;
pub use format::LogFormat;
pub use logger::{dropped_lines, flush, start, write_line};
