//! Log lines, for people or for machines, and payloads cut down to a sane length.

use std::fmt;
use std::io::Write;

use clap::ValueEnum;
use env_logger::{Builder, Env};

/// Characters of a payload that a log line shows.
const PREVIEW_CHARS: usize = 120;

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: an object with `time`, `level`, `target` and `message`.
    Json,
}

/// Starts logging to standard error. `RUST_LOG` chooses what; `info` is the default.
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
    // Only a second logger in one process is an error, and then the first one goes on.
    let _ = builder.try_init();
}

/// The beginning of a payload, escaped so that a peer cannot write lines or terminal controls into the log.
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
    fn an_excerpt_cannot_forge_a_line() {
        assert_eq!(EscapedPreview("a\nb\u{1b}[31m").to_string(), "a\\nb\\u{1b}[31m");
    }

    #[test]
    fn an_excerpt_is_cut_at_a_character() {
        let long = "é".repeat(PREVIEW_CHARS + 1);
        assert_eq!(
            EscapedPreview(&long).to_string(),
            format!("{}… ({} bytes)", "é".repeat(PREVIEW_CHARS), long.len())
        );
    }
}
