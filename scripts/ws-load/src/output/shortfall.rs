//! What a run did not reach, in words: its end, and its rate.

use super::report::Report;
use crate::{numbers, stats::counters::Count, text};

impl Report {
    /// Returns when and why the run ended before its time, if no connection was left.
    #[must_use]
    pub fn early_end(&self) -> Option<String> {
        let died = self.died_after_seconds?;
        let requested = match self.options.get("duration") {
            Some(_) => format!(" of {:.1} s", self.measured_seconds.unwrap_or_default()),
            None => ", before the last message".to_owned(),
        };
        Some(format!("ended after {died:.1} s{requested}: no connection left"))
    }

    /// Returns what was requested and what was sent, if the rate was not reached.
    #[must_use]
    pub fn unreached_rate(&self) -> Option<String> {
        let rate = self.rate_asked.filter(|_| self.rate_reached == Some(false))?;
        let (sent, unsent) = (self.get(Count::Sent), self.get(Count::Unsent));
        let share = text::percent(numbers::share(unsent, sent + unsent));
        let reached = text::grouped(numbers::f64_to_u64(self.message_rate().unwrap_or_default()));
        let rate = text::grouped(rate);
        Some(if unsent > 0 {
            format!(
                "the rate was not reached: {reached} of {rate} messages/s, {share} of the messages were not \
                 sent"
            )
        } else {
            format!("the rate was not reached: {reached} of {rate} messages/s, the messages were sent late")
        })
    }
}
