//! What is counted: a snapshot for scrapers, and the summary that is printed at the end.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::ops::AddAssign;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytesize::ByteSize;

use crate::ended::Ended;
use crate::handle::Counters;

/// Everything counted since the server started, as of the supervisor's last tick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Since the start.
    pub uptime: Duration,
    /// Connections that a worker took.
    pub accepted: u64,
    /// Connections that a worker has now.
    pub open: u64,
    /// The most that workers had at once.
    pub peak: u64,
    /// Connections that wait for a worker.
    pub waiting: u64,
    /// Connections refused with 503, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Connections that have ended: by whom, and with which close code or HTTP status (see [`Ended::labels`]).
    pub closed: BTreeMap<(&'static str, u16), u64>,
    /// WebSocket sessions that have ended.
    pub sessions: u64,
    /// Those of them in which both sides said Close.
    pub clean: u64,
    /// Those of them that were cut before both sides had.
    pub cut: u64,
    /// What went over all sessions, open and ended.
    pub traffic: Traffic,
    /// Pings that the server sent.
    pub pings_out: u64,
    /// Sessions that ended because of a bug.
    pub panics: u64,
    /// The longest WebSocket session that has ended.
    pub longest: Duration,
}

/// Where the supervisor leaves its last snapshot for everybody.
pub(crate) type Published = Arc<Mutex<Arc<Snapshot>>>;

/// What goes over a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Data messages received.
    pub messages_in: u64,
    /// Data messages sent.
    pub messages_out: u64,
    /// Payload received, in bytes.
    pub bytes_in: u64,
    /// Payload sent, in bytes.
    pub bytes_out: u64,
    /// Pings received.
    pub pings_in: u64,
    /// Pongs received.
    pub pongs_in: u64,
    /// Pings that behaviours sent; [`Snapshot::pings_out`] has those of the supervisor too.
    pub pings_out: u64,
}

impl Traffic {
    /// What a session's worker has counted so far.
    pub(crate) fn of(counters: &Counters) -> Self {
        Self {
            messages_in: counters.messages_in.get(),
            messages_out: counters.all_messages_out(),
            bytes_in: counters.bytes_in.get(),
            bytes_out: counters.all_bytes_out(),
            pings_in: counters.pings_in.get(),
            pongs_in: counters.pongs_in.get(),
            pings_out: counters.pings_out.get(),
        }
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.messages_in += other.messages_in;
        self.messages_out += other.messages_out;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.pings_in += other.pings_in;
        self.pongs_in += other.pongs_in;
        self.pings_out += other.pings_out;
    }
}

impl Snapshot {
    /// Counts how a connection ended.
    pub(crate) fn note_end(&mut self, ended: &Ended) {
        *self.closed.entry(ended.labels()).or_default() += 1;
        if ended.is_clean() {
            self.clean += 1;
        }
    }

    /// The whole in the text format that Prometheus scrapes (exposition format 0.0.4).
    #[must_use]
    pub fn exposition(&self) -> String {
        let mut out = String::with_capacity(2048);
        let traffic = &self.traffic;
        let singles = [
            ("uptime_seconds", "gauge", "Time since the server started.", self.uptime.as_secs()),
            ("connections_open", "gauge", "Connections that a worker has now.", self.open),
            ("connections_waiting", "gauge", "Connections that wait for a worker.", self.waiting),
            ("connections_accepted_total", "counter", "Connections that a worker took.", self.accepted),
            (
                "sessions_cut_total",
                "counter",
                "Sessions that were cut before both sides had said Close.",
                self.cut,
            ),
            ("messages_received_total", "counter", "Data messages received.", traffic.messages_in),
            ("messages_sent_total", "counter", "Data messages sent.", traffic.messages_out),
            ("received_bytes_total", "counter", "Payload of data messages received.", traffic.bytes_in),
            ("sent_bytes_total", "counter", "Payload of data messages sent.", traffic.bytes_out),
            ("pings_received_total", "counter", "Pings received.", traffic.pings_in),
            ("pings_sent_total", "counter", "Pings sent.", self.pings_out),
            ("pongs_received_total", "counter", "Pongs received.", traffic.pongs_in),
            ("panics_total", "counter", "Sessions that a bug ended.", self.panics),
        ];
        for (name, kind, help, value) in singles {
            head(&mut out, name, kind, help);
            let _ = writeln!(out, "ws_echo_{name} {value}");
        }
        head(&mut out, "connections_refused_total", "counter", "Connections refused with 503, by reason.");
        for (reason, count) in &self.refused {
            let _ = writeln!(out, "ws_echo_connections_refused_total{{reason=\"{reason}\"}} {count}");
        }
        head(
            &mut out,
            "connections_closed_total",
            "counter",
            "Connections that ended, by whom and with which code.",
        );
        for ((by, code), count) in &self.closed {
            let _ = writeln!(out, "ws_echo_connections_closed_total{{by=\"{by}\",code=\"{code}\"}} {count}");
        }
        out
    }
}

/// The two lines that introduce a metric. Writing to a `String` cannot fail.
fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP ws_echo_{name} {help}\n# TYPE ws_echo_{name} {kind}");
}

/// What a server did in its life; its `Display` is what is printed when it stops.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The last count.
    pub totals: Snapshot,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { accepted, peak, refused, closed, sessions, clean, cut, traffic, .. } = &self.totals;
        writeln!(f, "stopped after {:.1?}", self.totals.uptime)?;
        writeln!(
            f,
            "  connections  {accepted} accepted, {} refused{}, {peak} open at most",
            refused.values().sum::<u64>(),
            Listed(refused.iter().map(|(reason, count)| format!("{} {count}", reason.replace('_', " ")))),
        )?;
        writeln!(
            f,
            "  sessions     {sessions}, {clean} closed cleanly, {cut} cut, the longest {:.1?}",
            self.totals.longest
        )?;
        writeln!(
            f,
            "  ended        {}",
            Bare(closed.iter().map(|((by, code), count)| match code {
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
            "  pings        {} in, {} out, {} answered\n  panics       {}",
            traffic.pings_in, self.totals.pings_out, traffic.pongs_in, self.totals.panics
        )
    }
}

/// Items with commas between them, or a word for none.
struct Bare<I>(I);

impl<I: Iterator<Item = String> + Clone> fmt::Display for Bare<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.clone().collect::<Vec<_>>().join(", ");
        f.write_str(if text.is_empty() { "none" } else { &text })
    }
}

/// The same in brackets, or nothing.
struct Listed<I>(I);

impl<I: Iterator<Item = String> + Clone> fmt::Display for Listed<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.clone().next().is_none() { Ok(()) } else { write!(f, " ({})", Bare(self.0.clone())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ended::Side;

    #[test]
    fn an_end_is_counted_by_who_and_code() {
        let mut totals = Snapshot::default();
        let ended = Ended::Closed { by: Side::Client, code: 1000, reason: String::new(), clean: true };
        totals.note_end(&ended);
        totals.note_end(&Ended::Vanished);
        assert_eq!(
            (totals.clean, totals.closed[&("client", 1000)], totals.closed[&("vanished", 1006)]),
            (1, 1, 1)
        );
        let text = totals.exposition();
        assert!(text.contains("ws_echo_connections_closed_total{by=\"client\",code=\"1000\"} 1\n"), "{text}");
    }

    #[test]
    fn a_summary_of_nothing_reads_well() {
        let summary = Summary { totals: Snapshot::default() }.to_string();
        assert!(summary.contains("0 accepted, 0 refused, 0 open at most"), "{summary}");
        assert!(summary.contains("ended        none"), "{summary}");
    }
}
