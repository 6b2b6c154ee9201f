//! The summary that is printed when the server stops.

use std::fmt;

use bytesize::ByteSize;

use super::snapshot::Snapshot;

/// The totals of a stopped server. `Display` formats the text that is printed when it stops.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The final totals.
    pub totals: Snapshot,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { accepted, peak, rejected, closed, sessions, clean, aborted, traffic, .. } =
            &self.totals;
        writeln!(f, "stopped after {:.1?}", self.totals.uptime)?;
        writeln!(
            f,
            "  connections  {accepted} accepted, {} refused{}, {peak} open at most",
            rejected.values().sum::<u64>(),
            Parenthesised(
                rejected.iter().map(|(reason, count)| format!("{} {count}", reason.replace('_', " ")))
            ),
        )?;
        writeln!(
            f,
            "  sessions     {sessions}, {clean} closed cleanly, {aborted} aborted, longest {:.1?}",
            self.totals.longest
        )?;
        writeln!(
            f,
            "  ended        {}",
            CommaList(closed.iter().map(|((by, code), count)| match code {
                0 => format!("{by}: {count}"),
                code => format!("{by} {code}: {count}"),
            }))
        )?;
        writeln!(
            f,
            "  messages     {} in ({}), {} out ({})",
            traffic.messages_in,
            ByteSize(traffic.bytes_in),
            traffic.messages_out,
            ByteSize(traffic.bytes_out),
        )?;
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
