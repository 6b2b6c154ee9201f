//! Which replies are valid: `--expect`.

use regex::Regex;
use std::{fmt, str::FromStr};

/// Which replies are valid.
#[derive(Debug, Clone, Default)]
pub enum Expectation {
    /// The message itself.
    #[default]
    Echo,
    /// Any message. The replies are in the order of the messages.
    Any,
    /// No reply.
    None,
    /// Text that matches, in the order of the messages.
    Regex(Regex),
    /// JSON with a value at this pointer (RFC 6901), in the order of the messages.
    Json(String),
}

impl Expectation {
    /// Returns whether `reply` is valid, apart from echoes, which depend on the message.
    pub(crate) fn accepts(&self, reply: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Echo | Self::None => false,
            Self::Regex(regex) => std::str::from_utf8(reply).is_ok_and(|text| regex.is_match(text)),
            Self::Json(pointer) => serde_json::from_slice::<serde_json::Value>(reply)
                .is_ok_and(|json| json.pointer(pointer).is_some()),
        }
    }

    pub(crate) fn is_echo(&self) -> bool {
        matches!(self, Self::Echo)
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.split_once(':')) {
            ("echo", _) => Ok(Self::Echo),
            ("any", _) => Ok(Self::Any),
            ("none", _) => Ok(Self::None),
            (_, Some(("regex", pattern))) => Regex::new(pattern)
                .map(Self::Regex)
                .map_err(|error| format!("invalid regular expression \"{pattern}\": {error}")),
            (_, Some(("json", pointer))) if pointer.is_empty() || pointer.starts_with('/') => {
                Ok(Self::Json(pointer.to_owned()))
            }
            (_, Some(("json", pointer))) => {
                Err(format!("invalid JSON pointer \"{pointer}\": it starts with a slash, such as /data/id"))
            }
            _ => Err("use echo, any, none, regex:PATTERN or json:POINTER".into()),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo => f.write_str("echo"),
            Self::Any => f.write_str("any"),
            Self::None => f.write_str("none"),
            Self::Regex(regex) => write!(f, "regex:{regex}"),
            Self::Json(pointer) => write!(f, "json:{pointer}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectation_accepts_what_it_describes() {
        for (text, reply, accepted) in [
            ("any", &b"\xff"[..], true),
            ("none", b"", false),
            ("regex:^a+$", b"aaa", true),
            ("regex:^a+$", b"aab", false),
            ("regex:.", b"\xff", false),
            ("json:/a/0", b"{\"a\":[null]}", true),
            ("json:/a/1", b"{\"a\":[null]}", false),
            ("json:", b"5", true),
            ("json:", b"five", false),
        ] {
            let expectation: Expectation = text.parse().expect(text);
            assert_eq!(expectation.accepts(reply), accepted, "{text}: {reply:?}");
            assert_eq!(expectation.to_string(), text);
        }
        for text in ["", "echoes", "regex:(", "json:a"] {
            assert!(text.parse::<Expectation>().is_err(), "{text}");
        }
    }
}
