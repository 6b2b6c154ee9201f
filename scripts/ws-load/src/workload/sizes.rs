//! Message sizes: one size, a range, or a list with weights.

use crate::numbers;
use bytesize::ByteSize;
use std::{fmt, str::FromStr};

/// Largest message size. A pattern of this size is kept in memory.
pub const MAX_SIZE: ByteSize = ByteSize::mib(256);
/// Largest number of entries in a list of sizes.
const MAX_CHOICES: usize = 64;

/// A distribution of message sizes: `20`, `16..4KiB`, or `20:90,1KiB:9,64KiB:1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// The text it was parsed from.
    text: String,
    choices: Vec<SizeChoice>,
    total_weight: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SizeChoice {
    low: usize,
    high: usize,
    weight: u64,
}

impl Sizes {
    /// Returns the largest size, in bytes.
    pub(crate) fn max(&self) -> usize {
        self.choices.iter().map(|choice| choice.high).max().unwrap_or(0)
    }

    /// Returns the smallest size, in bytes.
    pub(crate) fn min(&self) -> usize {
        self.choices.iter().map(|choice| choice.low).min().unwrap_or(0)
    }

    /// Returns the size, in bytes, that a random `number` selects.
    pub(crate) fn pick(&self, number: u64) -> usize {
        if let [SizeChoice { low, high, .. }] = self.choices[..]
            && low == high
        {
            return low;
        }
        let mut position = number % self.total_weight;
        for choice in &self.choices {
            if position < choice.weight {
                let span = numbers::usize_to_u64(choice.high - choice.low) + 1;
                // Other bits than those that selected the entry, so that size and entry are independent.
                return choice.low + numbers::u64_to_usize((number >> 20) % span);
            }
            position -= choice.weight;
        }
        self.max()
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let choices = text.split(',').map(parse_choice).collect::<Result<Vec<_>, _>>()?;
        if choices.len() > MAX_CHOICES {
            return Err(format!("a list may have at most {MAX_CHOICES} sizes"));
        }
        let total_weight = choices.iter().map(|choice| choice.weight).sum();
        Ok(Self { text: text.to_owned(), choices, total_weight })
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        // Anything but a bare number contains its unit.
        if self.text.bytes().all(|byte| byte.is_ascii_digit()) { f.write_str(" bytes") } else { Ok(()) }
    }
}

fn parse_choice(text: &str) -> Result<SizeChoice, String> {
    let (sizes, weight) = match text.split_once(':') {
        Some((sizes, weight)) => (sizes, weight.trim().parse::<u32>().map_err(|_| bad_weight(weight))?),
        None => (text, 1),
    };
    if weight == 0 {
        return Err(bad_weight("0"));
    }
    let (low, high) = match sizes.split_once("..") {
        Some((low, high)) => (parse_size(low)?, parse_size(high)?),
        None => (parse_size(sizes)?, parse_size(sizes)?),
    };
    if low > high {
        return Err(format!("the range {sizes} ends before it starts"));
    }
    Ok(SizeChoice { low, high, weight: u64::from(weight) })
}

fn bad_weight(text: &str) -> String {
    format!("invalid weight \"{text}\": use a whole number of at least 1")
}

fn parse_size(text: &str) -> Result<usize, String> {
    let size: ByteSize =
        text.trim().parse().map_err(|_| format!("invalid size \"{text}\": write it like 20 or 16KiB"))?;
    if size > MAX_SIZE {
        return Err(format!("{size} exceeds the largest message size of {MAX_SIZE}"));
    }
    Ok(numbers::u64_to_usize(size.as_u64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse_one_size_a_range_and_weights() {
        assert_eq!("20".parse::<Sizes>().map(|s| (s.pick(5), s.max())), Ok((20, 20)));
        let range: Sizes = "16..4KiB".parse().expect("a range");
        assert!((0..1000_u64).all(|n| (16..=4096).contains(&range.pick(n << 20))));
        let list: Sizes = "20:9,1KiB:1".parse().expect("a list");
        let large = (0..1000_u64).filter(|n| list.pick(*n) == 1024).count();
        assert_eq!(large, 100);
    }

    #[test]
    fn sizes_reject_malformed_text_with_the_reason() {
        for (text, reason) in
            [("", "invalid size"), ("9..2", "ends before"), ("20:0", "weight"), ("1TiB", "exceeds")]
        {
            let error = text.parse::<Sizes>().expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
