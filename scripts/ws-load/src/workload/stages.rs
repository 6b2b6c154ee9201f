//! A rate that changes over time: `--stages 0..5000/30s,5000/2m`.

use crate::numbers;
use std::{fmt, str::FromStr, time::Duration};

/// Largest number of stages.
const MAX_STAGES: usize = 64;
/// Largest rate of a stage, in messages per second.
const MAX_RATE: u64 = 100_000_000;
/// Counts closer than this to a whole number are that number, in spite of rounding.
const ROUNDING: f64 = 1e-6;

/// Stages of a constant or linearly changing rate, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Stages {
    /// The text it was parsed from.
    text: String,
    stages: Vec<Stage>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Stage {
    /// Messages per second at the start and at the end.
    from: f64,
    to: f64,
    seconds: f64,
    /// Seconds and messages before this stage.
    start: f64,
    before: f64,
}

impl Stage {
    /// Returns the number of messages in the first `seconds` of the stage.
    fn count(&self, seconds: f64) -> f64 {
        self.from * seconds + (self.to - self.from) / self.seconds * seconds * seconds / 2.0
    }

    /// Returns the time of the stage until which `count` messages are due.
    fn time(&self, count: f64) -> f64 {
        let slope = (self.to - self.from) / self.seconds;
        let root = (self.from * self.from + 2.0 * slope * count).max(0.0).sqrt();
        // This form of the solution has no cancellation, and holds for a constant rate as well.
        if self.from + root > 0.0 { 2.0 * count / (self.from + root) } else { 0.0 }
    }
}

impl Stages {
    /// Creates one stage of `rate` messages per second. It lasts as long as the clock.
    pub(crate) fn constant(rate: u64) -> Self {
        let rate = numbers::u64_to_f64(rate);
        let stage = Stage { from: rate, to: rate, seconds: f64::MAX.sqrt(), start: 0.0, before: 0.0 };
        Self { text: String::new(), stages: vec![stage] }
    }

    /// Returns the length of all stages.
    pub(crate) fn duration(&self) -> Duration {
        let seconds = self.stages.last().map_or(0.0, |last| last.start + last.seconds);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// Returns the highest rate, in messages per second.
    pub(crate) fn peak(&self) -> u64 {
        let rates = self.stages.iter().flat_map(|stage| [stage.from, stage.to]);
        numbers::f64_to_u64(rates.fold(0.0, f64::max))
    }

    /// Returns the mean rate, in messages per second.
    pub(crate) fn mean(&self) -> u64 {
        let seconds = self.duration().as_secs_f64();
        numbers::f64_to_u64(self.count(seconds) / seconds)
    }

    /// Returns the number of messages that are due in the first `seconds`.
    pub(crate) fn count(&self, seconds: f64) -> f64 {
        let stage = self.stages.iter().rev().find(|stage| stage.start <= seconds);
        let count =
            stage.map_or(0.0, |stage| stage.before + stage.count((seconds - stage.start).min(stage.seconds)));
        if (count - count.round()).abs() < ROUNDING { count.round() } else { count }
    }

    /// Returns the time, in seconds, until which `count` messages are due.
    pub(crate) fn time(&self, count: f64) -> f64 {
        let stage = self.stages.iter().rev().find(|stage| stage.before <= count);
        stage.map_or(0.0, |stage| stage.start + stage.time(count - stage.before).min(stage.seconds))
    }
}

impl FromStr for Stages {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut stages, mut start, mut before) = (Vec::new(), 0.0, 0.0);
        for part in text.split(',') {
            let (from, to, seconds) = parse_stage(part)?;
            let stage = Stage { from, to, seconds, start, before };
            (start, before) = (start + seconds, before + stage.count(seconds));
            stages.push(stage);
        }
        if stages.len() > MAX_STAGES {
            return Err(format!("there may be at most {MAX_STAGES} stages"));
        }
        if before < 1.0 {
            return Err("no message is due in these stages".into());
        }
        Ok(Self { text: text.to_owned(), stages })
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_stage(text: &str) -> Result<(f64, f64, f64), String> {
    let example = "write it like 5000/2m or 0..5000/30s";
    let (rates, time) =
        text.trim().split_once('/').ok_or_else(|| format!("the stage \"{text}\" has no time: {example}"))?;
    let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
    let seconds = humantime::parse_duration(time.trim())
        .map_err(|_| format!("invalid time \"{time}\": {example}"))?
        .as_secs_f64();
    if seconds <= 0.0 {
        return Err(format!("the stage \"{text}\" takes no time: {example}"));
    }
    let rate = |text: &str| match text.trim().replace('_', "").parse::<u64>() {
        Ok(rate) if rate <= MAX_RATE => Ok(numbers::u64_to_f64(rate)),
        _ => Err(format!("invalid rate \"{text}\": use a whole number up to {MAX_RATE}")),
    };
    Ok((rate(from)?, rate(to)?, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(one: f64, two: f64) -> bool {
        (one - two).abs() < 1e-6
    }

    #[test]
    fn stages_count_messages_and_find_the_time_of_each() {
        let stages: Stages = "0..100/10s, 100/5s,100..0/10s".parse().expect("stages");
        assert_eq!(stages.duration(), Duration::from_secs(25));
        assert_eq!((stages.peak(), stages.mean()), (100, 60));
        for (seconds, count) in [(0.0, 0.0), (5.0, 125.0), (10.0, 500.0), (12.0, 700.0), (15.0, 1000.0)] {
            assert!(close(stages.count(seconds), count), "{seconds} s: {}", stages.count(seconds));
            assert!(close(stages.time(count), seconds), "{count}: {}", stages.time(count));
        }
        assert!(close(stages.count(25.0), 1500.0) && close(stages.count(99.0), 1500.0));
        let times: Vec<f64> = (0..1500).map(|count| stages.time(f64::from(count))).collect();
        assert!(times.is_sorted() && times.iter().all(|time| (0.0..25.0).contains(time)));
        let pause: Stages = "0/2s,10/1s".parse().expect("a pause");
        assert!(close(pause.time(0.0), 2.0) && close(pause.time(5.0), 2.5));
        assert!(close(Stages::constant(1000).time(5500.0), 5.5));
        assert!(close(Stages::constant(1000).count(5.5), 5500.0));
    }

    #[test]
    fn stages_reject_malformed_text_with_the_reason() {
        for (text, reason) in [
            ("", "no time"),
            ("5000", "no time"),
            ("x/1s", "invalid rate"),
            ("1/1", "invalid time"),
            ("1/0s", "takes no time"),
            ("0/5s", "no message"),
            ("-1/1s", "invalid rate"),
        ] {
            let error = text.parse::<Stages>().expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
