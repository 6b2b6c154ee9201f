//! What has to hold at the end: `--assert 'p99<5ms'`.

use super::{
    numbers,
    report::Results,
    stats::{Count, Metric},
};
use std::{fmt, str::FromStr};

/// The names of histograms in an assertion. The latency one can be left out.
const METRICS: [(&str, Metric); 8] = [
    ("corrected", Metric::Corrected),
    ("raw", Metric::Raw),
    ("connect", Metric::Connect),
    ("tls", Metric::Tls),
    ("handshake", Metric::Handshake),
    ("opening", Metric::Opening),
    ("cycle", Metric::Cycle),
    ("lateness", Metric::Lateness),
];

/// A comparison of a result with a limit.
#[derive(Debug, Clone)]
pub struct Assertion {
    text: String,
    subject: Subject,
    operator: Operator,
    /// In nanoseconds where the subject is a time.
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

/// What became of an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// The generator was the bottleneck: the figure says nothing about the server.
    Inconclusive,
}

impl Assertion {
    /// Judges it, and says which value it saw.
    pub(super) fn judge(&self, results: &Results<'_>) -> (Judgement, String) {
        let Some(value) = self.subject.value(results) else {
            return (Judgement::Fails, "nothing was measured".into());
        };
        let holds = self.operator.compare(value, self.limit);
        let seen = match self.subject {
            Subject::Time(..) => super::text::time(numbers::count(value)),
            Subject::Rate => format!("{value:.1}"),
            _ => format!("{value}"),
        };
        let depends = matches!(self.subject, Subject::Time(..) | Subject::Rate);
        let judgement = match holds {
            _ if depends && results.generator_was_late => Judgement::Inconclusive,
            // A generator at its limit makes a server look worse, never better: what holds all the same, holds.
            false if depends && results.generator_was_saturated => Judgement::Inconclusive,
            true => Judgement::Holds,
            false => Judgement::Fails,
        };
        (judgement, seen)
    }
}

impl Subject {
    fn value(self, results: &Results<'_>) -> Option<f64> {
        let counters = &results.total.counters;
        Some(match self {
            Self::Time(metric, statistic) => {
                let histogram = results.total.histogram(metric);
                if histogram.is_empty() {
                    return None;
                }
                match statistic {
                    Statistic::Percentile(percent) => numbers::float(histogram.value_at_percentile(percent)),
                    Statistic::Min => numbers::float(histogram.min()),
                    Statistic::Mean => histogram.mean(),
                    Statistic::Max => numbers::float(histogram.max()),
                }
            }
            Self::Count(count) => numbers::float(counters.get(count)),
            Self::Rate => results.rate,
            Self::Errors => numbers::float(counters.errors()),
            Self::Wrong => numbers::float(counters.wrong()),
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
    /// Two-letter ones first, or the first letter alone would match.
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
        // `min_by_key` takes the first of equals: "<=" before "<" at the same place.
        let (place, sign, operator) =
            found.min_by_key(|(place, ..)| *place).ok_or("an assertion needs one of < <= > >= == !=")?;
        let (name, limit) = (text[..place].trim(), text[place + sign.len()..].trim());
        let subject = Subject::parse(name).ok_or_else(|| {
            format!(
                "\"{name}\" is not a result; there are rate, errors, wrong, open, p50, p99.9, max, mean, raw.p99, \
                 connect.p99, handshake.max, cycle.p50 and the like, and {}",
                Count::ALL.iter().map(|count| count.name()).collect::<Vec<_>>().join(", ")
            )
        })?;
        let limit = if let Subject::Time(..) = subject {
            let time = humantime::parse_duration(limit)
                .map_err(|_| format!("\"{limit}\" is not a time such as 5ms or 1.5s"))?;
            numbers::float(numbers::nanos(time))
        } else {
            limit.replace('_', "").parse().map_err(|_| format!("\"{limit}\" is not a number"))?
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
    use crate::stats::Recorder;
    use std::time::Duration;

    fn judge(text: &str, late: bool, saturated: bool) -> Judgement {
        let mut total = Recorder::new();
        total.record(Metric::Corrected, Duration::from_millis(4));
        total.count(Count::Replies);
        let results = Results {
            total: &total,
            rate: 1000.0,
            open_at_end: 7,
            generator_was_late: late,
            generator_was_saturated: saturated,
        };
        text.parse::<Assertion>().expect(text).judge(&results).0
    }

    #[test]
    fn comparisons_are_judged() {
        for text in
            ["p99<5ms", "p99.9 <= 5ms", "errors==0", "rate>=1_000", "open!=8", "replies==1", "max>3ms"]
        {
            assert_eq!(judge(text, false, false), Judgement::Holds, "{text}");
        }
        for text in ["p50<1ms", "rate>1000", "wrong>0", "raw.p99<1h", "missing!=0"] {
            assert_eq!(judge(text, false, false), Judgement::Fails, "{text}");
        }
    }

    #[test]
    fn a_late_generator_makes_rate_and_latency_inconclusive_and_nothing_else() {
        assert_eq!(judge("p99<5ms", true, false), Judgement::Inconclusive);
        assert_eq!(judge("rate>=1", true, false), Judgement::Inconclusive);
        assert_eq!(judge("errors==0", true, false), Judgement::Holds);
        assert_eq!(judge("p99<5ms", false, true), Judgement::Holds);
        assert_eq!(judge("p99<1ms", false, true), Judgement::Inconclusive);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["p99", "p101<1s", "speed>1", "p99<5", "errors==none", ""] {
            assert!(text.parse::<Assertion>().is_err(), "{text}");
        }
    }
}
