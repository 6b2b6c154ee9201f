//! The summary that is printed when the server stops.

use std::fmt;

use bytesize::ByteSize;
use log::info;

use super::labels::code_label;
use super::rooms::RoomTotals;
use super::snapshot::Snapshot;

/// The totals of a stopped server. `Display` formats the text that is printed when it stops.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The final totals.
    pub totals: Snapshot,
}

impl Summary {
    /// Logs the totals in one line, with the names of `/stats` as fields.
    pub fn log(&self) {
        let Snapshot { uptime, accepted, peak, sessions, clean, aborted, longest, traffic, .. } =
            &self.totals;
        let refused: u64 = self.totals.rejected.values().sum();
        info!(
            target: "ws_echo", name = self.totals.name.as_str(), duration_ms = uptime.as_millis(), accepted, refused, peak, sessions_ended = sessions,
            closed_cleanly = clean, cut = aborted, longest_ms = longest.as_millis(), ended:% = self.ends(),
            messages_in = traffic.messages_in, messages_out = traffic.messages_out, bytes_in = traffic.bytes_in,
            bytes_out = traffic.bytes_out, pings_in = traffic.pings_in, pings_out = self.totals.pings_out,
            pongs_in = traffic.pongs_in, memory_peak = self.totals.memory_peak,
            memory_limit = self.totals.limits.memory_bytes, panics = self.totals.panics;
            "stopped after {uptime:.1?}"
        );
    }

    /// Formats how connections ended, with the number of each.
    fn ends(&self) -> impl fmt::Display {
        CommaList(self.totals.closed.iter().map(|((by, code), count)| match code {
            0 => format!("{by}: {count}"),
            code => format!("{by} {}: {count}", code_label(by, *code)),
        }))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { accepted, peak, rejected, sessions, clean, aborted, traffic, .. } = &self.totals;
        writeln!(f, "stopped after {:.1?}", self.totals.uptime)?;
        writeln!(f, "  name         {}", self.totals.name)?;
        writeln!(
            f,
            "  connections  {accepted} accepted, {} refused{}, {peak} open at most",
            rejected.values().sum::<u64>(),
            Parenthesised(
                rejected
                    .iter()
                    .filter(|(_, count)| **count > 0)
                    .map(|(reason, count)| format!("{} {count}", reason.replace('_', " ")))
            ),
        )?;
        writeln!(
            f,
            "  sessions     {sessions}, {clean} closed cleanly, {aborted} aborted{}",
            if *sessions > 0 { format!(", longest {:.1?}", self.totals.longest) } else { String::new() }
        )?;
        writeln!(f, "  ended        {}", self.ends())?;
        writeln!(
            f,
            "  messages     {} in ({}), {} out ({})",
            traffic.messages_in,
            ByteSize(traffic.bytes_in),
            traffic.messages_out,
            ByteSize(traffic.bytes_out),
        )?;
        let (peak, limit) = (self.totals.memory_peak, self.totals.limits.memory_bytes);
        writeln!(f, "  memory       at most {} for messages, of {}", ByteSize(peak), ByteSize(limit))?;
        if let Some(rooms) = &self.totals.rooms {
            let RoomTotals { published, received, failed, interrupted, reconnects, .. } = rooms;
            writeln!(
                f,
                "  rooms        {published} published, {received} received, {failed} failed, \
                 {interrupted} members interrupted, {reconnects} reconnects"
            )?;
        }
        write!(
            f,
            "  pings        {} in, {} out, {} pongs in\n  panics       {}",
            traffic.pings_in, self.totals.pings_out, traffic.pongs_in, self.totals.panics
        )
    }
}

/// Formats items separated by commas, or "none".
struct CommaList<I>(I);

impl<I: Iterator<Item = String> + Clone> fmt::Display for CommaList<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.clone().collect::<Vec<_>>().join(", ");
        f.write_str(if text.is_empty() { "none" } else { &text })
    }
}

/// Formats a space and a [`CommaList`] in parentheses, or nothing if there are no items.
struct Parenthesised<I>(I);

impl<I: Iterator<Item = String> + Clone> fmt::Display for Parenthesised<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.clone().next().is_none() { Ok(()) } else { write!(f, " ({})", CommaList(self.0.clone())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_without_traffic_prints_zeros() {
        let summary = Summary { totals: Snapshot::default() }.to_string();
        assert!(summary.contains("0 accepted, 0 refused, 0 open at most"), "{summary}");
        assert!(summary.contains("ended        none"), "{summary}");
    }
}
