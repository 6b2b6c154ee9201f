//! Conditions on the result: `--assert 'p99<5ms'`.

use super::{
    counters::Count,
    recorder::{Metric, Recorder},
};
use crate::{numbers, text};
use std::{fmt, str::FromStr};

/// The names of the histograms in an assertion. `corrected` is the default.
const METRICS: [(&str, Metric); 9] = [
    ("corrected", Metric::Corrected),
    ("raw", Metric::Raw),
    ("connect", Metric::Connect),
    ("tls", Metric::Tls),
    ("handshake", Metric::Handshake),
    ("opening", Metric::Opening),
    ("cycle", Metric::Cycle),
    ("down", Metric::Down),
    ("lateness", Metric::Lateness),
];

/// A comparison of a figure with a limit, such as `p99<5ms`.
#[derive(Debug, Clone)]
pub struct Assertion {
    text: String,
    subject: Subject,
    operator: Operator,
    /// In nanoseconds if the subject is a time.
    limit: f64,
}

#[derive(Debug, Clone, Copy)]
enum Subject {
    Time(Metric, Statistic),
    Count(Count),
    Rate,
    Errors,
    Wrong,
    Open,
}

#[derive(Debug, Clone, Copy)]
enum Statistic {
    Percentile(f64),
    Min,
    Mean,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// The figures that assertions are evaluated with.
#[derive(Debug)]
pub(crate) struct AssertInput<'a> {
    pub(crate) total: &'a Recorder,
    pub(crate) rate: f64,
    pub(crate) open_at_end: u32,
    pub(crate) generator_was_late: bool,
    pub(crate) generator_was_saturated: bool,
}

/// The result of an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssertOutcome {
    /// It holds.
    Holds,
    /// It does not hold.
    Fails,
    /// This program was the bottleneck, so the figure does not describe the server.
    Inconclusive,
}

impl Assertion {
    /// Returns the outcome, and the figure as text.
    pub(crate) fn evaluate(&self, results: &AssertInput<'_>) -> (AssertOutcome, String) {
        let Some(value) = self.subject.value(results) else {
            return (AssertOutcome::Fails, "nothing was measured".into());
        };
        let holds = self.operator.compare(value, self.limit);
        let figure = match self.subject {
            Subject::Time(..) => text::time(numbers::f64_to_u64(value)),
            Subject::Rate => format!("{value:.1}"),
            _ => format!("{value}"),
        };
        let depends = matches!(self.subject, Subject::Time(..) | Subject::Rate);
        let outcome = match holds {
            _ if depends && results.generator_was_late => AssertOutcome::Inconclusive,
            // A saturated generator makes the figures worse, so an assertion that holds still holds.
            false if depends && results.generator_was_saturated => AssertOutcome::Inconclusive,
            true => AssertOutcome::Holds,
            false => AssertOutcome::Fails,
        };
        (outcome, figure)
    }
}

impl Subject {
    fn value(self, results: &AssertInput<'_>) -> Option<f64> {
        let counters = &results.total.counters;
        Some(match self {
            Self::Time(metric, statistic) => {
                let histogram = results.total.histogram(metric);
                if histogram.is_empty() {
                    return None;
                }
                match statistic {
                    Statistic::Percentile(percent) => {
                        numbers::u64_to_f64(histogram.value_at_percentile(percent))
                    }
                    Statistic::Min => numbers::u64_to_f64(histogram.min()),
                    Statistic::Mean => histogram.mean(),
                    Statistic::Max => numbers::u64_to_f64(histogram.max()),
                }
            }
            Self::Count(count) => numbers::u64_to_f64(counters.get(count)),
            Self::Rate => results.rate,
            Self::Errors => numbers::u64_to_f64(counters.errors()),
            Self::Wrong => numbers::u64_to_f64(counters.wrong()),
            Self::Open => f64::from(results.open_at_end),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "rate" => return Some(Self::Rate),
            "errors" => return Some(Self::Errors),
            "wrong" => return Some(Self::Wrong),
            "open" => return Some(Self::Open),
            _ => {}
        }
        if let Some(count) = Count::ALL.iter().find(|count| count.name() == text) {
            return Some(Self::Count(*count));
        }
        let prefixed = METRICS
            .iter()
            .find_map(|(name, metric)| Some((*metric, text.strip_prefix(name)?.strip_prefix('.')?)));
        let (metric, statistic) = prefixed.unwrap_or((Metric::Corrected, text));
        let statistic = match statistic {
            "min" => Statistic::Min,
            "mean" => Statistic::Mean,
            "max" => Statistic::Max,
            _ => {
                let percent = statistic.strip_prefix('p')?.parse().ok()?;
                if !(0.0..=100.0).contains(&percent) {
                    return None;
                }
                Statistic::Percentile(percent)
            }
        };
        Some(Self::Time(metric, statistic))
    }
}

impl Operator {
    /// Two-character operators first: at the same position the first entry is taken.
    const ALL: [(&'static str, Self); 6] = [
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    #[allow(clippy::float_cmp, reason = "`==` is for counts, which are whole numbers")]
    fn compare(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::LessOrEqual => value <= limit,
            Self::Greater => value > limit,
            Self::GreaterOrEqual => value >= limit,
            Self::Equal => value == limit,
            Self::NotEqual => value != limit,
        }
    }
}

impl FromStr for Assertion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found =
            Operator::ALL.iter().filter_map(|(sign, operator)| Some((text.find(sign)?, *sign, *operator)));
        let (place, sign, operator) =
            found.min_by_key(|(place, ..)| *place).ok_or("missing operator: use one of < <= > >= == !=")?;
        let (name, limit) = (text[..place].trim(), text[place + sign.len()..].trim());
        let subject = Subject::parse(name).ok_or_else(|| {
            format!(
                "unknown figure \"{name}\": use rate, errors, wrong, open, p50, p99.9, max, mean, raw.p99, \
                 connect.p99, handshake.max, cycle.p50 or another percentile, or one of {}",
                Count::ALL.iter().map(|count| count.name()).collect::<Vec<_>>().join(", ")
            )
        })?;
        let limit = if let Subject::Time(..) = subject {
            let time = humantime::parse_duration(limit)
                .map_err(|_| format!("invalid time \"{limit}\": write it like 5ms or 1.5s"))?;
            numbers::u64_to_f64(numbers::nanos(time))
        } else {
            limit.replace('_', "").parse().map_err(|_| format!("invalid number \"{limit}\""))?
        };
        Ok(Self { text: text.to_owned(), subject, operator, limit })
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::recorder::Recorder;
    use std::time::Duration;

    fn evaluate(text: &str, late: bool, saturated: bool) -> AssertOutcome {
        let mut total = Recorder::new();
        total.record(Metric::Corrected, Duration::from_millis(4));
        total.count(Count::Replies);
        let results = AssertInput {
            total: &total,
            rate: 1000.0,
            open_at_end: 7,
            generator_was_late: late,
            generator_was_saturated: saturated,
        };
        text.parse::<Assertion>().expect(text).evaluate(&results).0
    }

    #[test]
    fn assertion_compares_figures_with_limits() {
        for text in
            ["p99<5ms", "p99.9 <= 5ms", "errors==0", "rate>=1_000", "open!=8", "replies==1", "max>3ms"]
        {
            assert_eq!(evaluate(text, false, false), AssertOutcome::Holds, "{text}");
        }
        for text in ["p50<1ms", "rate>1000", "wrong>0", "raw.p99<1h", "missing!=0"] {
            assert_eq!(evaluate(text, false, false), AssertOutcome::Fails, "{text}");
        }
    }

    #[test]
    fn assertion_on_rate_or_latency_is_inconclusive_if_the_generator_was_late() {
        assert_eq!(evaluate("p99<5ms", true, false), AssertOutcome::Inconclusive);
        assert_eq!(evaluate("rate>=1", true, false), AssertOutcome::Inconclusive);
        assert_eq!(evaluate("errors==0", true, false), AssertOutcome::Holds);
        assert_eq!(evaluate("p99<5ms", false, true), AssertOutcome::Holds);
        assert_eq!(evaluate("p99<1ms", false, true), AssertOutcome::Inconclusive);
    }

    #[test]
    fn assertion_rejects_malformed_expressions() {
        for text in ["p99", "p101<1s", "speed>1", "p99<5", "errors==none", ""] {
            assert!(text.parse::<Assertion>().is_err(), "{text}");
        }
    }
}
