//! Conditions on the result: `--assert 'p99<5ms'`.

use super::{
    counters::Count,
    number::Number,
    recorder::{Metric, Recorder},
};
use crate::{numbers, text};
use hdrhistogram::Histogram;
use std::{fmt, str::FromStr};

/// The names of the histograms in an assertion. `corrected` is the default.
const METRICS: [(&str, Metric); 12] = [
    ("corrected", Metric::Corrected),
    ("raw", Metric::Raw),
    ("connect", Metric::Connect),
    ("tls", Metric::Tls),
    ("handshake", Metric::Handshake),
    ("opening", Metric::Opening),
    ("cycle", Metric::Cycle),
    ("down", Metric::Down),
    ("gap", Metric::Gap),
    ("compression", Metric::Compression),
    ("lateness", Metric::Lateness),
    ("loop", Metric::LoopLateness),
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
    Number(Number),
    /// The first divided by the second.
    Ratio(Number, Number),
    Rate,
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
    /// `None` if no time was measured.
    pub(crate) rate: Option<f64>,
    /// Number of connections that are open. `None` before the load starts.
    pub(crate) open: Option<u32>,
    /// In which way the figures may be wrong.
    pub(crate) doubt: Doubt,
}

/// In which way latencies and rates may be those of this program. Its delays make latencies longer and rates
/// lower, never the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// They are the server's.
    None,
    /// This program was late, or waited for a processor. How long is known.
    Late,
    /// Its threads were busy all the time, or its delays added up.
    Saturated,
    /// It did not send all messages. The latencies of the others are unknown.
    Incomplete,
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
        let outcome = match holds {
            _ if !self.is_certain(value, results) => AssertOutcome::Inconclusive,
            true => AssertOutcome::Holds,
            false => AssertOutcome::Fails,
        };
        (outcome, self.subject.format(value))
    }

    /// Returns the figure as text if the condition is true now. It is not if nothing was measured yet.
    pub(crate) fn met_by(&self, results: &AssertInput<'_>) -> Option<String> {
        let value = self.subject.value(results).filter(|value| self.operator.compare(*value, self.limit))?;
        Some(self.subject.format(value))
    }

    /// Returns the faults that this expression is about. It decides how many of them are allowed.
    pub(crate) fn faults(&self) -> Vec<Count> {
        match self.subject {
            Subject::Number(number) | Subject::Ratio(number, _) => number.counts(),
            Subject::Time(..) | Subject::Rate | Subject::Open => Vec::new(),
        }
    }

    /// Returns whether the outcome is the same for every figure that the server may have had.
    fn is_certain(&self, value: f64, results: &AssertInput<'_>) -> bool {
        let possible = match (self.subject, results.doubt) {
            (_, Doubt::None) | (Subject::Time(Metric::Lateness | Metric::LoopLateness, _), _) => value,
            (Subject::Time(Metric::Corrected | Metric::Raw, _), Doubt::Incomplete) => return false,
            (Subject::Time(..), Doubt::Saturated) => 0.0,
            (Subject::Time(metric, statistic), Doubt::Late | Doubt::Incomplete) => {
                value - own_delay(metric, statistic, results.total)
            }
            (Subject::Rate, _) => f64::INFINITY,
            _ => value,
        };
        let is_range = matches!(self.operator, Operator::Equal | Operator::NotEqual);
        self.operator.compare(value, self.limit) == self.operator.compare(possible, self.limit)
            && (!is_range || possible >= value)
    }
}

/// Returns how much of a latency this program may have caused, in nanoseconds: its delay before it sent, and
/// before it read the reply.
fn own_delay(metric: Metric, statistic: Statistic, total: &Recorder) -> f64 {
    let sending = if metric == Metric::Corrected { Some(Metric::Lateness) } else { None };
    [Some(Metric::LoopLateness), sending]
        .into_iter()
        .flatten()
        .map(|delay| statistic.of(total.histogram(delay)))
        .sum()
}

impl Statistic {
    /// Returns the figure of a histogram, which is 0 if it is empty.
    fn of(self, histogram: &Histogram<u64>) -> f64 {
        match self {
            Self::Percentile(percent) => numbers::u64_to_f64(histogram.value_at_percentile(percent)),
            Self::Min => numbers::u64_to_f64(histogram.min()),
            Self::Mean => histogram.mean(),
            Self::Max => numbers::u64_to_f64(histogram.max()),
        }
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
                statistic.of(histogram)
            }
            Self::Number(number) => numbers::u64_to_f64(number.of(counters)),
            Self::Ratio(part, whole) => {
                let [part, whole] = [part, whole].map(|number| number.of(counters));
                if whole == 0 {
                    return None;
                }
                numbers::share(part, whole)
            }
            Self::Rate => results.rate?,
            Self::Open => f64::from(results.open?),
        })
    }

    /// Formats a value of this figure.
    fn format(self, value: f64) -> String {
        match self {
            Self::Time(..) => text::time(numbers::f64_to_u64(value)),
            Self::Rate => format!("{value:.1}"),
            Self::Ratio(..) => format!("{:.4} %", value * 100.0),
            Self::Number(_) | Self::Open => format!("{value}"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "rate" => return Some(Self::Rate),
            "open" => return Some(Self::Open),
            _ => {}
        }
        if let Some((part, whole)) = text.split_once('/') {
            return Some(Self::Ratio(Number::parse(part.trim())?, Number::parse(whole.trim())?));
        }
        if let Some(number) = Number::parse(text) {
            return Some(Self::Number(number));
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
                 connect.p99, handshake.max, cycle.p50 or another percentile, one of {}, or a ratio of two \
                 of these: missing/sent",
                Count::ALL.iter().map(|count| count.name()).collect::<Vec<_>>().join(", ")
            )
        })?;
        let limit = if let Subject::Time(..) = subject {
            let time = humantime::parse_duration(limit)
                .map_err(|_| format!("invalid time \"{limit}\": write it like 5ms or 1.5s"))?;
            numbers::u64_to_f64(numbers::nanos(time))
        } else {
            let percent = limit.strip_suffix('%').filter(|_| matches!(subject, Subject::Ratio(..)));
            let number = percent.unwrap_or(limit).trim().replace('_', "").parse::<f64>();
            let number = number.map_err(|_| format!("invalid number \"{limit}\""))?;
            if percent.is_some() { number / 100.0 } else { number }
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

    /// Evaluates with a latency of 4 ms, of which 1 ms is a delay of this program.
    fn evaluate(text: &str, doubt: Doubt) -> AssertOutcome {
        let mut total = Recorder::new();
        total.record(Metric::Corrected, Duration::from_millis(4));
        total.record(Metric::LoopLateness, Duration::from_millis(1));
        total.count(Count::Replies);
        let results = AssertInput { total: &total, rate: Some(1000.0), open: Some(7), doubt };
        text.parse::<Assertion>().expect(text).evaluate(&results).0
    }

    #[test]
    fn assertion_compares_figures_with_limits() {
        for text in [
            "p99<5ms",
            "p99.9 <= 5ms",
            "errors==0",
            "rate>=1_000",
            "open!=8",
            "replies==1",
            "max>3ms",
            "missing/replies<0.1%",
            "errors / replies<0.5",
        ] {
            assert_eq!(evaluate(text, Doubt::None), AssertOutcome::Holds, "{text}");
        }
        for text in [
            "p50<1ms",
            "rate>1000",
            "wrong>0",
            "raw.p99<1h",
            "missing!=0",
            "replies/replies<=99%",
            "missing/sent<1",
        ] {
            assert_eq!(evaluate(text, Doubt::None), AssertOutcome::Fails, "{text}");
        }
    }

    #[test]
    fn assertion_is_inconclusive_if_the_delay_of_this_program_decides_it() {
        use AssertOutcome::{Fails, Holds, Inconclusive};
        for (text, late, saturated, incomplete) in [
            ("p99<5ms", Holds, Holds, Inconclusive),
            ("p99<3500us", Inconclusive, Inconclusive, Inconclusive),
            ("p99<2ms", Fails, Inconclusive, Inconclusive),
            ("p99>3500us", Inconclusive, Inconclusive, Inconclusive),
            ("p99>2ms", Holds, Inconclusive, Inconclusive),
            ("rate>=1", Holds, Holds, Holds),
            ("rate>=2000", Inconclusive, Inconclusive, Inconclusive),
            ("rate<2000", Inconclusive, Inconclusive, Inconclusive),
            ("errors==0", Holds, Holds, Holds),
            ("loop.p99<2ms", Holds, Holds, Holds),
        ] {
            let seen = [Doubt::Late, Doubt::Saturated, Doubt::Incomplete].map(|doubt| evaluate(text, doubt));
            assert_eq!(seen, [late, saturated, incomplete], "{text}");
        }
    }

    #[test]
    fn assertion_rejects_malformed_expressions() {
        for text in [
            "p99",
            "p101<1s",
            "speed>1",
            "p99<5",
            "errors==none",
            "errors<1%",
            "rate/sent<1",
            "p99/max<1",
            "",
        ] {
            assert!(text.parse::<Assertion>().is_err(), "{text}");
        }
    }
}
