//! The snapshot in the text format that Prometheus scrapes.

use std::fmt::Write;

use super::snapshot::Snapshot;

impl Snapshot {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_counted_by_who_and_code() {
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
