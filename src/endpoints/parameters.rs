//! Parses the query of a request against the parameters of an endpoint, before the upgrade is accepted.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;

/// A parameter in the query of an endpoint.
pub struct Parameter {
    /// Name in the query.
    pub name: &'static str,
    /// Value if the query does not have the parameter; empty if it then has no value.
    pub default: &'static str,
    /// What the parameter means, for people.
    pub meaning: &'static str,
    /// Accepted values.
    pub(super) kind: ParameterKind,
}

/// Returns a [`Parameter`]; shortens the table.
pub(super) const fn parameter(
    name: &'static str,
    kind: ParameterKind,
    default: &'static str,
    meaning: &'static str,
) -> Parameter {
    Parameter { name, default, meaning, kind }
}

/// Type and range of a parameter's values. Its `Display` completes the sentence "NAME takes …".
#[derive(Clone, Copy, Debug)]
pub(super) enum ParameterKind {
    /// A duration, with minimum and maximum. A plain number is in milliseconds.
    Time(Duration, Duration),
    /// A size in bytes, with minimum and maximum.
    Size(u64, u64),
    /// A whole number, with minimum and maximum.
    Count(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// 0 or 1.
    Flag,
    /// A text, with its maximum length in bytes.
    Text(usize),
}

impl fmt::Display for ParameterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(min, max) => write!(
                f,
                "a time from {} to {}, for example 250ms, 2s or plain milliseconds",
                if min.is_zero() { "0ms".to_owned() } else { format_time(*min) },
                format_time(*max)
            ),
            Self::Size(min, max) => {
                write!(f, "a size from {min} to {}, for example 512 or 64KiB", ByteSize(*max))
            }
            Self::Count(min, max) => write!(f, "a whole number from {min} to {max}"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Flag => write!(f, "0 or 1"),
            Self::Text(max) => write!(f, "a text of at most {max} bytes"),
        }
    }
}

/// Returns a duration in the form that [`parse_time`] accepts, for example `1h`.
fn format_time(time: Duration) -> String {
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
    /// Returns the type in one word, for `GET /endpoints`.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Time(..) => "time",
            Self::Size(..) => "size",
            Self::Count(..) => "count",
            Self::Choice(_) => "choice",
            Self::Flag => "flag",
            Self::Text(_) => "text",
        }
    }

    /// Returns the smallest and the largest value: milliseconds, bytes or a number. Of a text, its length in
    /// bytes.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        let milliseconds = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::Time(min, max) => Some((milliseconds(min), milliseconds(max))),
            Self::Size(min, max) | Self::Count(min, max) => Some((*min, *max)),
            Self::Text(max) => Some((0, *max as u64)),
            Self::Choice(_) | Self::Flag => None,
        }
    }

    /// Returns the accepted words of a choice; no words for another type.
    pub(super) fn choices(&self) -> &'static [&'static str] {
        match self {
            Self::Choice(words) => words,
            _ => &[],
        }
    }

    /// Parses a value; `None` if it has the wrong type or is out of range.
    fn parse(&self, text: &str) -> Option<Value> {
        Some(match self {
            Self::Time(min, max) => Value::Time(parse_time(text).filter(|time| (min..=max).contains(&time))?),
            Self::Size(min, max) => {
                let ByteSize(size) = text.parse().ok()?;
                Value::Number(Some(size).filter(|size| (min..=max).contains(&size))?)
            }
            Self::Count(min, max) => {
                Value::Number(text.parse().ok().filter(|count| (min..=max).contains(&count))?)
            }
            Self::Choice(words) => Value::Text(words.iter().find(|&&word| word == text)?.to_string()),
            Self::Flag => Value::Flag(match text {
                "0" => false,
                "1" => true,
                _ => return None,
            }),
            Self::Text(max) => Value::Text(Some(text).filter(|text| text.len() <= *max)?.to_owned()),
        })
    }
}

/// Parses a duration. A plain number is in milliseconds.
fn parse_time(text: &str) -> Option<Duration> {
    match text.parse() {
        Ok(milliseconds) => Some(Duration::from_millis(milliseconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    }
}

/// The values of all parameters of an endpoint, by name. `None` if neither the query nor the table has a
/// value.
pub(super) struct Parameters(Vec<(&'static str, Option<Value>)>);

impl Parameters {
    /// Parses a query. `path` is that of the endpoint, for the error. With `any_query`, the query only has to
    /// be well formed, and is ignored.
    ///
    /// # Errors
    /// A sentence for the client: unknown or repeated parameter, value not accepted, malformed query.
    pub(super) fn parse(
        path: &str,
        parameters: &'static [Parameter],
        any_query: bool,
        query: &str,
    ) -> Result<Self, String> {
        let mut given: Vec<(String, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = decode(name).zip(decode(value)).ok_or_else(|| {
                "the query must be UTF-8, percent-encoded as % and two hexadecimal digits".to_owned()
            })?;
            if any_query {
                continue;
            }
            if !parameters.iter().any(|parameter| parameter.name == name) {
                return Err(unknown_parameter(path, parameters, &name));
            }
            if given.iter().any(|(other, _)| *other == name) {
                return Err(format!("{name} is given twice"));
            }
            given.push((name, value));
        }
        let value_of = |parameter: &'static Parameter| {
            let text = given.iter().find(|(name, _)| name == parameter.name).map(|(_, text)| text);
            let Parameter { name, kind, default, .. } = parameter;
            let value = match text {
                Some(text) => Some(kind.parse(text).ok_or_else(|| format!("{name} takes {kind}"))?),
                None if default.is_empty() => None,
                None => kind.parse(default),
            };
            Ok((*name, value))
        };
        parameters.iter().map(value_of).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the value of a parameter of the endpoint, if there is one.
    fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        debug_assert!(found.is_some(), "the table has no parameter {name}");
        found.and_then(|(_, value)| value.as_ref())
    }

    /// Returns a duration.
    pub(super) fn time(&self, name: &str) -> Duration {
        if let Some(Value::Time(time)) = self.get(name) { *time } else { Duration::ZERO }
    }

    /// Returns a size or a count that has no default; `None` if it was not given.
    pub(super) fn number_if_given(&self, name: &str) -> Option<u64> {
        if let Some(Value::Number(number)) = self.get(name) { Some(*number) } else { None }
    }

    /// Returns a size or a count.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.number_if_given(name).unwrap_or_default()
    }

    /// Returns a size in bytes as `usize`.
    pub(super) fn size(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(usize::MAX)
    }

    /// Returns the size of a message, in bytes.
    ///
    /// # Errors
    /// A sentence for the client if the size exceeds `limit`.
    pub(super) fn message_size(&self, name: &str, limit: usize) -> Result<usize, String> {
        let size = self.size(name);
        if size > limit {
            return Err(format!("{name} may be at most {limit}, the maximum size of a message"));
        }
        Ok(size)
    }

    /// Returns a flag.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Flag(true)))
    }

    /// Returns a word or a text; empty if it has no value.
    pub(super) fn text(&self, name: &str) -> &str {
        if let Some(Value::Text(text)) = self.get(name) { text } else { "" }
    }
}

/// Returns the sentence for a parameter that the endpoint does not have.
fn unknown_parameter(path: &str, parameters: &[Parameter], name: &str) -> String {
    let known: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    format!("unknown parameter {}: {path} takes {known}", name.escape_debug())
}

/// Decodes a name or a value in the encoding of HTML forms: `%` and two hexadecimal digits, `+` for a space.
/// Returns `None` if it is malformed or not UTF-8.
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

    const PARAMETERS: &[Parameter] = &[
        parameter("wait", ParameterKind::Time(Duration::ZERO, Duration::from_hours(1)), "250ms", ""),
        parameter("size", ParameterKind::Size(1, 1 << 30), "64KiB", ""),
        parameter("code", ParameterKind::Count(0, 65_535), "1000", ""),
        parameter("how", ParameterKind::Choice(&["rst", "fin"]), "fin", ""),
        parameter("force", ParameterKind::Flag, "0", ""),
        parameter("reason", ParameterKind::Text(8), "", ""),
    ];

    fn parse(query: &str) -> Result<Parameters, String> {
        Parameters::parse("/test", PARAMETERS, false, query)
    }

    #[test]
    fn parameters_accept_times_sizes_and_encoded_texts() {
        for (text, milliseconds) in [("250", 250), ("250ms", 250), ("2s", 2000), ("0", 0), ("1m+30s", 90_000)]
        {
            let parameters = parse(&format!("wait={text}")).unwrap();
            assert_eq!(parameters.time("wait"), Duration::from_millis(milliseconds), "{text}");
        }
        let parameters = parse("size=2KiB&code=7&how=rst").unwrap();
        assert_eq!((parameters.number("size"), parameters.number("code")), (2048, 7));
        assert_eq!(parameters.text("how"), "rst");
        let parameters = parse("reason=b+b%C3%BCe&&force=1").unwrap();
        assert_eq!((parameters.text("reason"), parameters.flag("force")), ("b büe", true));
    }

    #[test]
    fn parameters_that_are_not_given_have_their_default() {
        let parameters = parse("").unwrap();
        assert_eq!(parameters.time("wait"), Duration::from_millis(250));
        assert_eq!((parameters.size("size"), parameters.number("code")), (64 << 10, 1000));
        assert_eq!((parameters.text("how"), parameters.text("reason")), ("fin", ""));
        assert!(!parameters.flag("force"));
    }

    #[test]
    fn parameters_that_are_not_accepted_are_an_error_that_lists_what_is() {
        const TIME: &str = "wait takes a time from 0ms to 1h, for example 250ms, 2s or plain milliseconds";
        const QUERY: &str = "the query must be UTF-8, percent-encoded as % and two hexadecimal digits";
        for (query, sentence) in [
            ("wait=soon", TIME),
            ("wait=2h", TIME),
            ("wait", TIME),
            ("x=1", "unknown parameter x: /test takes wait, size, code, how, force, reason"),
            ("wait=1&wait=2", "wait is given twice"),
            ("size=0", "size takes a size from 1 to 1.0 GiB, for example 512 or 64KiB"),
            ("how=loudly", "how takes one of rst, fin"),
            ("force=yes", "force takes 0 or 1"),
            ("code=-1", "code takes a whole number from 0 to 65535"),
            ("reason=too+long+", "reason takes a text of at most 8 bytes"),
            ("reason=%", QUERY),
            ("reason=%ff", QUERY),
        ] {
            assert_eq!(parse(query).err().as_deref(), Some(sentence), "{query}");
        }
        let without_parameters = Parameters::parse("/stats", &[], false, "x");
        assert_eq!(without_parameters.err().as_deref(), Some("unknown parameter x: /stats takes none"));
    }

    #[test]
    fn parameters_of_an_endpoint_with_any_query_only_have_to_be_well_formed() {
        assert!(Parameters::parse("/echo", &[], true, "anything=%20").is_ok());
        assert!(Parameters::parse("/echo", &[], true, "anything=%").is_err());
    }
}
