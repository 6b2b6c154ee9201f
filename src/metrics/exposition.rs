//! The snapshot in the Prometheus text format.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use super::histogram::{LENGTH_BOUNDS, SIZE_BOUNDS};
use super::labels::{SHOWN_ENDS, code_label};
use super::rooms::RoomTotals;
use super::snapshot::Snapshot;
use crate::logging;
use crate::platform::process_usage::ProcessUsage;

impl Snapshot {
    /// Returns all metrics in the Prometheus text format (exposition format 0.0.4). Those of the process and
    /// of the log have their present values.
    #[must_use]
    pub fn exposition(&self) -> String {
        let mut out = String::with_capacity(8192);
        self.write_server(&mut out);
        self.write_traffic(&mut out);
        self.write_ends(&mut out);
        if let Some(rooms) = &self.rooms {
            write_rooms(&mut out, rooms);
        }
        self.write_histograms(&mut out);
        write_process(&mut out);
        out
    }

    /// Appends version, limits and connections.
    fn write_server(&self, out: &mut String) {
        write_header(out, "ws_echo_build_info", "gauge", "Version and name of the server; the value is 1.");
        let (version, name) = (env!("CARGO_PKG_VERSION"), &self.name);
        let _ = writeln!(out, "ws_echo_build_info{{version=\"{version}\",name=\"{name}\"}} 1");
        let limits = &self.limits;
        for (name, help, value) in [
            ("ws_echo_workers", "Number of workers.", limits.workers),
            ("ws_echo_connections_limit", "Maximum number of connections at once.", limits.connections),
            ("ws_echo_queue_limit", "Maximum number of connections that wait for a place.", limits.queue),
            ("ws_echo_max_message_bytes", "Maximum size of a message.", limits.message_bytes),
            ("ws_echo_memory_limit_bytes", "Memory for messages and unsent replies.", limits.memory_bytes),
            ("ws_echo_memory_used_bytes", "Memory used for messages and unsent replies.", self.memory_used),
            ("ws_echo_uptime_seconds", "Time since the server started.", self.uptime.as_secs()),
            ("ws_echo_connections_open", "Connections that are served.", self.open),
            ("ws_echo_connections_waiting", "Connections waiting for a place.", self.waiting),
        ] {
            write_metric(out, name, "gauge", help, value);
        }
    }

    /// Appends the counters without labels.
    fn write_traffic(&self, out: &mut String) {
        let traffic = &self.traffic;
        for (name, help, value) in [
            ("ws_echo_connections_accepted_total", "Connections that were served.", self.accepted),
            (
                "ws_echo_sessions_cut_total",
                "Sessions aborted before the closing handshake was complete.",
                self.aborted,
            ),
            ("ws_echo_messages_received_total", "Data messages received.", traffic.messages_in),
            ("ws_echo_messages_sent_total", "Data messages sent.", traffic.messages_out),
            ("ws_echo_received_bytes_total", "Payload bytes of received data messages.", traffic.bytes_in),
            ("ws_echo_sent_bytes_total", "Payload bytes of sent data messages.", traffic.bytes_out),
            ("ws_echo_pings_received_total", "Pings received.", traffic.pings_in),
            ("ws_echo_pings_sent_total", "Pings sent.", self.pings_out),
            ("ws_echo_pongs_received_total", "Pongs received.", traffic.pongs_in),
            ("ws_echo_panics_total", "Sessions ended by a panic.", self.panics),
            (
                "ws_echo_log_lines_dropped_total",
                "Log lines dropped because standard error was not read in time.",
                logging::dropped_lines(),
            ),
        ] {
            write_metric(out, name, "counter", help, value);
        }
    }

    /// Appends the rejected and the ended connections by their labels.
    fn write_ends(&self, out: &mut String) {
        let name = "ws_echo_connections_refused_total";
        write_header(out, name, "counter", "Connections rejected with 503 or 429, by reason.");
        for (reason, count) in &self.rejected {
            let _ = writeln!(out, "{name}{{reason=\"{reason}\"}} {count}");
        }
        let name = "ws_echo_connections_closed_total";
        let help = "Ended connections, by cause and by close code or HTTP status.";
        write_header(out, name, "counter", help);
        let mut closed: BTreeMap<_, _> = SHOWN_ENDS.into_iter().map(|labels| (labels, 0)).collect();
        closed.extend(&self.closed);
        for ((by, code), count) in closed {
            let code = code_label(by, code);
            let _ = writeln!(out, "{name}{{by=\"{by}\",code=\"{code}\"}} {count}");
        }
    }

    /// Appends the histograms.
    fn write_histograms(&self, out: &mut String) {
        write_histogram(
            out,
            "ws_echo_received_message_size_bytes",
            "Payload size of received data messages.",
            (&SIZE_BOUNDS, &self.traffic.sizes_in.0),
            self.traffic.bytes_in,
        );
        write_histogram(
            out,
            "ws_echo_session_duration_seconds",
            "Duration of ended sessions.",
            (&LENGTH_BOUNDS, &self.lengths.counts),
            self.lengths.sum.as_secs_f64(),
        );
    }
}

/// Appends what shared rooms have published and received.
fn write_rooms(out: &mut String, rooms: &RoomTotals) {
    let help = "Whether both connections to the Redis of the rooms are up.";
    write_metric(out, "ws_echo_rooms_connected", "gauge", help, u8::from(rooms.connected));
    for (name, help, value) in [
        ("ws_echo_rooms_published_total", "Room messages that Redis has accepted.", rooms.published),
        ("ws_echo_rooms_received_total", "Room messages that the subscription returned.", rooms.received),
        (
            "ws_echo_rooms_failed_total",
            "Room messages that may not have been published; their senders were closed with 1013.",
            rooms.failed,
        ),
        (
            "ws_echo_rooms_interrupted_members_total",
            "Members that may have missed messages while the subscription was lost.",
            rooms.interrupted,
        ),
        ("ws_echo_rooms_reconnects_total", "Connections to Redis that were opened again.", rooms.reconnects),
    ] {
        write_metric(out, name, "counter", help, value);
    }
}

/// Appends what the process uses, under the names that Prometheus clients share.
fn write_process(out: &mut String) {
    let Some(usage) = ProcessUsage::read() else { return };
    let (resident, cpu) = (usage.resident_bytes, usage.cpu_seconds);
    write_metric(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident);
    write_metric(out, "process_open_fds", "gauge", "Open file descriptors.", usage.open_files);
    write_metric(out, "process_threads", "gauge", "Threads.", usage.threads);
    write_metric(out, "process_cpu_seconds_total", "counter", "CPU time, user and system.", cpu);
    let help = "Start of the process, in seconds since the epoch.";
    write_metric(out, "process_start_time_seconds", "gauge", help, format_args!("{:.2}", usage.started_at));
}

/// Appends a metric without labels.
fn write_metric(out: &mut String, name: &str, kind: &str, help: &str, value: impl Display) {
    write_header(out, name, kind, help);
    let _ = writeln!(out, "{name} {value}");
}

/// Appends a histogram: the upper bounds of its buckets, the number of values in each bucket and in the last
/// one, which has no bound, and the sum of all values.
fn write_histogram<B: Display>(
    out: &mut String,
    name: &str,
    help: &str,
    (bounds, counts): (&[B], &[u64]),
    sum: impl Display,
) {
    write_header(out, name, "histogram", help);
    let mut total = 0;
    for (bound, count) in bounds.iter().zip(counts) {
        total += count;
        let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {total}");
    }
    total += counts.last().unwrap_or(&0);
    let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {total}\n{name}_sum {sum}\n{name}_count {total}");
}

/// Appends the HELP and TYPE lines of a metric. Writing to a `String` cannot fail.
fn write_header(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposition_counts_ends_by_cause_and_code() {
        let mut totals = Snapshot::default();
        totals.record_end(("client", 1000), true);
        totals.record_end(("vanished", 1006), false);
        totals.record_end(("client", 4000), false);
        totals.record_end(("client", 4321), false);
        assert_eq!(totals.clean, 1);
        let text = totals.exposition();
        for line in [
            "{by=\"client\",code=\"1000\"} 1\n",
            "{by=\"vanished\",code=\"1006\"} 1\n",
            "{by=\"client\",code=\"4xxx\"} 2\n",
            "{by=\"tls\",code=\"0\"} 0\n",
        ] {
            assert!(text.contains(&format!("ws_echo_connections_closed_total{line}")), "{text}");
        }
    }
}
