//! The snapshot in the Prometheus text format.

use std::fmt::Write;

use super::snapshot::Snapshot;
use crate::logging;

impl Snapshot {
    /// Returns all metrics in the Prometheus text format (exposition format 0.0.4).
    #[must_use]
    pub fn exposition(&self) -> String {
        let mut out = String::with_capacity(2048);
        let traffic = &self.traffic;
        let unlabelled = [
            ("uptime_seconds", "gauge", "Time since the server started.", self.uptime.as_secs()),
            ("connections_open", "gauge", "Connections held by a worker.", self.open),
            ("connections_waiting", "gauge", "Connections waiting for a worker.", self.waiting),
            ("connections_accepted_total", "counter", "Connections taken by a worker.", self.accepted),
            (
                "sessions_cut_total",
                "counter",
                "Sessions aborted before the closing handshake was complete.",
                self.aborted,
            ),
            ("messages_received_total", "counter", "Data messages received.", traffic.messages_in),
            ("messages_sent_total", "counter", "Data messages sent.", traffic.messages_out),
            ("received_bytes_total", "counter", "Payload bytes of received data messages.", traffic.bytes_in),
            ("sent_bytes_total", "counter", "Payload bytes of sent data messages.", traffic.bytes_out),
            ("pings_received_total", "counter", "Pings received.", traffic.pings_in),
            ("pings_sent_total", "counter", "Pings sent.", self.pings_out),
            ("pongs_received_total", "counter", "Pongs received.", traffic.pongs_in),
            ("panics_total", "counter", "Sessions ended by a panic.", self.panics),
            (
                "log_lines_dropped_total",
                "counter",
                "Log lines dropped because standard error was not read in time.",
                logging::dropped_lines(),
            ),
        ];
        for (name, kind, help, value) in unlabelled {
            write_header(&mut out, name, kind, help);
            let _ = writeln!(out, "ws_echo_{name} {value}");
        }
        write_header(
            &mut out,
            "connections_refused_total",
            "counter",
            "Connections rejected with 503, by reason.",
        );
        for (reason, count) in &self.rejected {
            let _ = writeln!(out, "ws_echo_connections_refused_total{{reason=\"{reason}\"}} {count}");
        }
        write_header(
            &mut out,
            "connections_closed_total",
            "counter",
            "Ended connections, by cause and by close code or HTTP status.",
        );
        for ((by, code), count) in &self.closed {
            let _ = writeln!(out, "ws_echo_connections_closed_total{{by=\"{by}\",code=\"{code}\"}} {count}");
        }
        out
    }
}

/// Appends the HELP and TYPE lines of a metric. Writing to a `String` cannot fail.
fn write_header(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP ws_echo_{name} {help}\n# TYPE ws_echo_{name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposition_counts_ends_by_cause_and_code() {
        let mut totals = Snapshot::default();
        totals.record_end(("client", 1000), true);
        totals.record_end(("vanished", 1006), false);
        assert_eq!(totals.clean, 1);
        let text = totals.exposition();
        for line in ["{by=\"client\",code=\"1000\"} 1\n", "{by=\"vanished\",code=\"1006\"} 1\n"] {
            assert!(text.contains(&format!("ws_echo_connections_closed_total{line}")), "{text}");
        }
    }
}
