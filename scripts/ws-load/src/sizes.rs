//! How long messages are: one size, a range, or a list with weights.

use super::numbers;
use bytesize::ByteSize;
use std::{fmt, str::FromStr};

/// The longest message that may be asked for: the pattern behind it is kept in memory.
pub const MAX_SIZE: ByteSize = ByteSize::mib(256);
/// The most entries in a list of sizes.
const MAX_CHOICES: usize = 64;

/// A distribution of message sizes: `20`, `16..4KiB`, or `20:90,1KiB:9,64KiB:1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// As the user wrote it.
    text: String,
    choices: Vec<Choice>,
    total_weight: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    low: usize,
    high: usize,
    weight: u64,
}

impl Sizes {
    /// The longest of them.
    pub(super) fn max(&self) -> usize {
        self.choices.iter().map(|choice| choice.high).max().unwrap_or(0)
    }

    /// The size that a random `number` stands for.
    pub(super) fn pick(&self, number: u64) -> usize {
        if let [Choice { low, high, .. }] = self.choices[..]
            && low == high
        {
            return low;
        }
        let mut turn = number % self.total_weight;
        for choice in &self.choices {
            if turn < choice.weight {
                let span = numbers::wide(choice.high - choice.low) + 1;
                // Other bits than those that chose, or size and choice would go together.
                return choice.low + numbers::narrow((number >> 20) % span);
            }
            turn -= choice.weight;
        }
        self.max()
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let choices = text.split(',').map(choice).collect::<Result<Vec<_>, _>>()?;
        if choices.len() > MAX_CHOICES {
            return Err(format!("at most {MAX_CHOICES} sizes can be listed"));
        }
        let total_weight = choices.iter().map(|choice| choice.weight).sum();
        Ok(Self { text: text.to_owned(), choices, total_weight })
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        // A bare number is bytes; anything else says its unit itself.
        if self.text.bytes().all(|byte| byte.is_ascii_digit()) { f.write_str(" bytes") } else { Ok(()) }
    }
}

fn choice(text: &str) -> Result<Choice, String> {
    let (sizes, weight) = match text.split_once(':') {
        Some((sizes, weight)) => (sizes, weight.trim().parse::<u32>().map_err(|_| bad_weight(weight))?),
        None => (text, 1),
    };
    if weight == 0 {
        return Err(bad_weight("0"));
    }
    let (low, high) = match sizes.split_once("..") {
        Some((low, high)) => (size(low)?, size(high)?),
        None => (size(sizes)?, size(sizes)?),
    };
    if low > high {
        return Err(format!("the range {sizes} runs backwards"));
    }
    Ok(Choice { low, high, weight: u64::from(weight) })
}

fn bad_weight(text: &str) -> String {
    format!("the weight \"{text}\" is not a whole number from 1 up")
}

fn size(text: &str) -> Result<usize, String> {
    let size: ByteSize =
        text.trim().parse().map_err(|_| format!("\"{text}\" is not a size such as 20 or 16KiB"))?;
    if size > MAX_SIZE {
        return Err(format!("{size} is more than the {MAX_SIZE} that a message may have"));
    }
    Ok(numbers::narrow(size.as_u64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_size_a_range_and_weights_are_read() {
        assert_eq!("20".parse::<Sizes>().map(|s| (s.pick(5), s.max())), Ok((20, 20)));
        let range: Sizes = "16..4KiB".parse().expect("a range");
        assert!((0..1000_u64).all(|n| (16..=4096).contains(&range.pick(n << 20))));
        let list: Sizes = "20:9,1KiB:1".parse().expect("a list");
        let large = (0..1000_u64).filter(|n| list.pick(*n) == 1024).count();
        assert_eq!(large, 100);
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        for (text, reason) in
            [("", "not a size"), ("9..2", "backwards"), ("20:0", "weight"), ("1TiB", "more than")]
        {
            let error = text.parse::<Sizes>().expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
