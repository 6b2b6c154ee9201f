//! The query of a request, checked against the table of endpoints before the upgrade is granted.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;

/// Something that the query of an endpoint may say.
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What happens without it, written as its value would be; empty where it is then left out.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Which values it takes.
    pub(super) kind: ParameterKind,
}

/// A shorthand for the table.
pub(super) const fn parameter(
    name: &'static str,
    kind: ParameterKind,
    default: &'static str,
    meaning: &'static str,
) -> Parameter {
    Parameter { name, default, meaning, kind }
}

/// Which values a parameter takes; its `Display` completes the sentence "NAME takes …".
#[derive(Clone, Copy, Debug)]
pub(super) enum ParameterKind {
    /// A duration between two others; a plain number is in milliseconds.
    Time(Duration, Duration),
    /// A size in bytes between two others.
    Size(u64, u64),
    /// A whole number between two others.
    Count(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Yes or no.
    Flag,
    /// Any text up to that many bytes.
    Text(usize),
}

impl fmt::Display for ParameterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(least, most) => write!(
                f,
                "a time from {} to {}, for example 250ms, 2s or plain milliseconds",
                if least.is_zero() { "0ms".to_owned() } else { shown(*least) },
                shown(*most)
            ),
            Self::Size(least, most) => {
                write!(f, "a size from {least} to {}, for example 512 or 64KiB", ByteSize(*most))
            }
            Self::Count(least, most) => write!(f, "a whole number from {least} to {most}"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Flag => write!(f, "0 or 1"),
            Self::Text(most) => write!(f, "a text of at most {most} bytes"),
        }
    }
}

/// A duration as people write it.
fn shown(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// Of [`ParameterKind::Time`].
    Time(Duration),
    /// Of [`ParameterKind::Size`] and [`ParameterKind::Count`].
    Number(u64),
    /// Of [`ParameterKind::Flag`].
    Flag(bool),
    /// Of [`ParameterKind::Choice`] and [`ParameterKind::Text`].
    Text(String),
}

impl ParameterKind {
    /// Reads a value; `None` when it is none.
    fn read(&self, text: &str) -> Option<Value> {
        Some(match self {
            Self::Time(least, most) => Value::Time(time(text).filter(|time| (least..=most).contains(&time))?),
            Self::Size(least, most) => {
                let ByteSize(size) = text.parse().ok()?;
                Value::Number(Some(size).filter(|size| (least..=most).contains(&size))?)
            }
            Self::Count(least, most) => {
                Value::Number(text.parse().ok().filter(|count| (least..=most).contains(&count))?)
            }
            Self::Choice(words) => Value::Text(words.iter().find(|&&word| word == text)?.to_string()),
            Self::Flag => Value::Flag(match text {
                "0" => false,
                "1" => true,
                _ => return None,
            }),
            Self::Text(most) => Value::Text(Some(text).filter(|text| text.len() <= *most)?.to_owned()),
        })
    }
}

/// A duration; a plain number is in milliseconds.
fn time(text: &str) -> Option<Duration> {
    match text.parse() {
        Ok(milliseconds) => Some(Duration::from_millis(milliseconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    }
}

/// Every parameter of an endpoint with its value; without one where it was not given and has no default.
pub(super) struct Parameters(Vec<(&'static str, Option<Value>)>);

impl Parameters {
    /// Checks a query against what the endpoint takes. The error is a sentence for the client.
    pub(super) fn parse(
        path: &str,
        parameters: &'static [Parameter],
        any_query: bool,
        query: &str,
    ) -> Result<Self, String> {
        let mut given: Vec<(String, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = decode(name).zip(decode(value));
            let (name, value) = decoded.ok_or_else(|| {
                "the query has to be UTF-8, with % before two hexadecimal digits".to_owned()
            })?;
            if any_query {
                continue;
            }
            if !parameters.iter().any(|parameter| parameter.name == name) {
                return Err(unknown(path, parameters, &name));
            }
            if given.iter().any(|(other, _)| *other == name) {
                return Err(format!("{name} is given twice"));
            }
            given.push((name, value));
        }
        let value_of = |parameter: &'static Parameter| {
            let given = given.iter().find(|(name, _)| name == parameter.name);
            let Parameter { name, kind, default, .. } = parameter;
            let value = match given {
                Some((_, text)) => Some(kind.read(text).ok_or_else(|| format!("{name} takes {kind}"))?),
                None if default.is_empty() => None,
                None => kind.read(default),
            };
            Ok((*name, value))
        };
        parameters.iter().map(value_of).collect::<Result<_, _>>().map(Self)
    }

    /// The value of a parameter, unless it was not given and has no default.
    fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        debug_assert!(found.is_some(), "the table does not have {name}");
        found.and_then(|(_, value)| value.as_ref())
    }

    /// A duration.
    pub(super) fn time(&self, name: &str) -> Duration {
        if let Some(Value::Time(time)) = self.get(name) { *time } else { Duration::ZERO }
    }

    /// A size or a count, unless it was not given and has no default.
    pub(super) fn number_if_given(&self, name: &str) -> Option<u64> {
        if let Some(Value::Number(number)) = self.get(name) { Some(*number) } else { None }
    }

    /// A size or a count.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.number_if_given(name).unwrap_or_default()
    }

    /// A size of something that is held in memory.
    pub(super) fn size(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(usize::MAX)
    }

    /// A size of a message, which the server's limit must allow.
    pub(super) fn message_size(&self, name: &str, limit: usize) -> Result<usize, String> {
        let size = self.size(name);
        if size > limit {
            return Err(format!("{name} may be at most {limit}, the server's --max-message"));
        }
        Ok(size)
    }

    /// Yes or no.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Flag(true)))
    }

    /// A word or a text; empty when it was not given and has no default.
    pub(super) fn text(&self, name: &str) -> &str {
        if let Some(Value::Text(text)) = self.get(name) { text } else { "" }
    }
}

/// The sentence for a parameter that the endpoint does not have.
fn unknown(path: &str, parameters: &[Parameter], name: &str) -> String {
    let known: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
    let name = name.escape_debug();
    if known.is_empty() {
        return format!("{path} takes no parameters, and certainly no {name}");
    }
    format!("{path} has no parameter {name}; it takes {}", known.join(", "))
}

/// Decodes a name or a value (as HTML forms encode them: `+` is a space). `None` when it is malformed.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                bytes.push(data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?.first().copied()?);
                rest = tail;
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::table::ENDPOINTS;

    fn parse(path: &str, query: &str) -> Result<Parameters, String> {
        let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.path == path).unwrap();
        Parameters::parse(endpoint.path, endpoint.parameters, endpoint.any_query, query)
    }

    #[test]
    fn values_are_written_as_people_write_them() {
        for (text, milliseconds) in [("250", 250), ("250ms", 250), ("2s", 2000), ("0", 0), ("1m+30s", 90_000)]
        {
            let given = parse("/delay", &format!("ms={text}")).unwrap();
            assert_eq!(given.time("ms"), Duration::from_millis(milliseconds), "{text}");
        }
        let given = parse("/source", "size=2KiB&count=7").unwrap();
        assert_eq!((given.number("size"), given.number("count")), (2048, 7));
        let given = parse("/close", "reason=bye%20b%C3%BCe&&force=1").unwrap();
        assert_eq!(
            (given.text("reason"), given.flag("force"), given.number("code")),
            ("bye büe", true, 1000)
        );
    }

    #[test]
    fn what_makes_no_sense_is_told_what_would() {
        for (path, query, sentence) in [
            (
                "/delay",
                "ms=soon",
                "ms takes a time from 0ms to 1h, for example 250ms, 2s or plain milliseconds",
            ),
            (
                "/delay",
                "ms=2h",
                "ms takes a time from 0ms to 1h, for example 250ms, 2s or plain milliseconds",
            ),
            ("/delay", "ms", "ms takes a time from 0ms to 1h, for example 250ms, 2s or plain milliseconds"),
            ("/delay", "mss=1", "/delay has no parameter mss; it takes ms, jitter"),
            ("/delay", "ms=1&ms=2", "ms is given twice"),
            ("/source", "size=0", "size takes a size from 1 to 1.0 GiB, for example 512 or 64KiB"),
            ("/drop", "how=loudly", "how takes one of rst, fin"),
            ("/silent", "pong=yes", "pong takes 0 or 1"),
            ("/close", "code=-1", "code takes a whole number from 0 to 65535"),
            ("/close", "reason=%", "the query has to be UTF-8, with % before two hexadecimal digits"),
            ("/close", "reason=%ff", "the query has to be UTF-8, with % before two hexadecimal digits"),
            ("/stats", "a", "/stats takes no parameters, and certainly no a"),
        ] {
            assert_eq!(parse(path, query).err().as_deref(), Some(sentence), "{path}?{query}");
        }
        assert!(parse("/echo", "anything=%20goes").is_ok());
    }
}
