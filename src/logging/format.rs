//! The formats of log lines, and the preview of payloads in them.

use std::fmt;
use std::io::{self, Write};
use std::time::SystemTime;

use clap::ValueEnum;
use env_logger::fmt::Formatter;
use env_logger::{Builder, Env};
use log::Record;
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use serde_json::Value as Json;

/// Maximum length of a payload preview, in characters.
const PREVIEW_CHARS: usize = 120;

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Human-readable text.
    Text,
    /// One JSON object per line with `time`, `level`, `target`, `message`, and what is known of `session`,
    /// `peer`, `path`, `status`, `code`, `messages_in`, `messages_out`, `bytes_in`, `bytes_out`,
    /// `duration_ms`.
    Json,
}

impl LogFormat {
    /// Sets this format, and the filter of `RUST_LOG`, by default `info`.
    pub(super) fn builder(self) -> Builder {
        let mut builder = Builder::from_env(Env::default().default_filter_or("info"));
        match self {
            Self::Text => builder.format(write_text),
            Self::Json => builder.format(write_json),
        };
        builder
    }
}

/// Writes a line as `[TIME LEVEL TARGET] MESSAGE`, the level in colour on a terminal. The time is in UTC (RFC
/// 3339).
fn write_text(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let time = humantime::format_rfc3339_seconds(SystemTime::now());
    let (level, style) = (record.level(), out.default_level_style(record.level()));
    writeln!(out, "[{time} {style}{level:<5}{style:#} {}] {}", record.target(), record.args())
}

/// Writes a line as a JSON object with the fields of the record. The time is in UTC, with milliseconds (RFC
/// 3339).
fn write_json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let mut fields = JsonFields(serde_json::Map::new());
    record.key_values().visit(&mut fields).map_err(io::Error::other)?;
    let JsonFields(mut line) = fields;
    line.insert("time".into(), humantime::format_rfc3339_millis(SystemTime::now()).to_string().into());
    line.insert("level".into(), record.level().as_str().into());
    line.insert("target".into(), record.target().into());
    line.insert("message".into(), record.args().to_string().into());
    writeln!(out, "{}", Json::Object(line))
}

/// Collects the fields of a record. Leaves out those without a value.
struct JsonFields(serde_json::Map<String, Json>);

impl<'kvs> VisitSource<'kvs> for JsonFields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let mut json = JsonValue(Json::Null);
        value.visit(&mut json)?;
        if !json.0.is_null() {
            self.0.insert(key.to_string(), json.0);
        }
        Ok(())
    }
}

/// A value of a field: a number, or text.
struct JsonValue(Json);

impl VisitValue<'_> for JsonValue {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        self.0 = value.to_string().into();
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.0 = Json::Null;
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_u128(&mut self, value: u128) -> Result<(), kv::Error> {
        self.visit_u64(u64::try_from(value).unwrap_or(u64::MAX))
    }
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
