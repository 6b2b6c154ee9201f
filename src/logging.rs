//! The logger and its formats, and the preview of payloads in log lines.

use std::fmt;
use std::io::Write;

use clap::ValueEnum;
use env_logger::{Builder, Env};

/// Maximum length of a payload preview, in characters.
const PREVIEW_CHARS: usize = 120;

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Human-readable text.
    Text,
    /// One JSON object per line with `time`, `level`, `target` and `message`.
    Json,
}

/// Starts logging to standard error. `RUST_LOG` is the filter; the default is `info`. No effect if a logger
/// is installed.
pub fn start(format: LogFormat) {
    let mut builder = Builder::from_env(Env::default().default_filter_or("info"));
    if format == LogFormat::Json {
        builder.format(|out, record| {
            let line = serde_json::json!({
                "time": out.timestamp_millis().to_string(),
                "level": record.level().as_str(),
                "target": record.target(),
                "message": record.args().to_string(),
            });
            writeln!(out, "{line}")
        });
    }
    // The only error is an installed logger, which stays.
    let _ = builder.try_init();
}

/// Displays the first 120 characters of a payload, escaped, so that a peer cannot write line breaks or
/// terminal control sequences to the log.
pub(crate) struct EscapedPreview<'a>(pub(crate) &'a str);

impl fmt::Display for EscapedPreview<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, rest) = match self.0.char_indices().nth(PREVIEW_CHARS) {
            Some((end, _)) => self.0.split_at(end),
            None => (self.0, ""),
        };
        write!(f, "{}", shown.escape_debug())?;
        if !rest.is_empty() {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_preview_escapes_control_characters() {
        assert_eq!(EscapedPreview("a\nb\u{1b}[31m").to_string(), "a\\nb\\u{1b}[31m");
    }

    #[test]
    fn payload_preview_ends_at_a_character() {
        let long = "é".repeat(PREVIEW_CHARS + 1);
        assert_eq!(
            EscapedPreview(&long).to_string(),
            format!("{}… ({} bytes)", "é".repeat(PREVIEW_CHARS), long.len())
        );
    }
}
