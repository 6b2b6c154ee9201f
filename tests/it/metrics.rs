//! `/metrics`: what exists from the start, bounded labels, histograms, the format.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::{Frame, TestServer, config, eventually, exchange, masked, metric, upgrade};

/// Returns the body of `/metrics`.
fn exposition(server: &TestServer) -> String {
    let response = exchange(server.address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

/// Returns the value of a metric with its labels.
fn value(exposition: &str, name: &str) -> f64 {
    let mut values = exposition.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.next().unwrap_or_else(|| panic!("no {name} in {exposition}")).parse().unwrap()
}

#[test]
fn metrics_exist_before_the_first_connection_has_ended() {
    let server = TestServer::start();
    let text = exposition(&server);
    let closed =
        |by: &str, code: &str| format!("ws_echo_connections_closed_total{{by=\"{by}\",code=\"{code}\"}}");
    let (version, instance) = (env!("CARGO_PKG_VERSION"), config().name);
    for (name, expected) in [
        (format!("ws_echo_build_info{{version=\"{version}\",name=\"{instance}\"}}"), 1),
        ("ws_echo_workers".to_owned(), 2),
        ("ws_echo_connections_limit".to_owned(), 8),
        ("ws_echo_queue_limit".to_owned(), 8),
        ("ws_echo_max_message_bytes".to_owned(), 16 << 20),
        ("ws_echo_log_lines_dropped_total".to_owned(), 0),
        ("ws_echo_connections_refused_total{reason=\"full\"}".to_owned(), 0),
        ("ws_echo_connections_refused_total{reason=\"waited_too_long\"}".to_owned(), 0),
        ("ws_echo_connections_refused_total{reason=\"address_limit\"}".to_owned(), 0),
        ("ws_echo_connections_refused_total{reason=\"stopping\"}".to_owned(), 0),
        (closed("client", "1000"), 0),
        (closed("server", "1001"), 0),
        (closed("server", "1008"), 0),
        (closed("server", "1012"), 0),
        (closed("vanished", "1006"), 0),
        (closed("cut", "1006"), 0),
        (closed("dropped", "1006"), 0),
        (closed("http", "200"), 0),
        (closed("http", "429"), 0),
        (closed("http", "500"), 0),
        (closed("tls", "0"), 0),
        (closed("silent", "0"), 0),
        ("ws_echo_received_message_size_bytes_bucket{le=\"+Inf\"}".to_owned(), 0),
        ("ws_echo_session_duration_seconds_bucket{le=\"+Inf\"}".to_owned(), 0),
    ] {
        assert!((value(&text, &name) - f64::from(expected)).abs() < f64::EPSILON, "{name} in {text}");
    }
    let summary = server.finish().to_string();
    assert!(
        summary.contains("0 refused, ") && !summary.contains("tls: 0"),
        "zeros are left out of {summary}"
    );
}

#[test]
fn metrics_of_the_process_are_those_of_the_process() {
    let server = TestServer::start();
    let text = exposition(&server);
    let between = |name: &str, low: f64, high: f64| {
        let value = value(&text, name);
        assert!((low..=high).contains(&value), "{name} is {value}");
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    between("process_resident_memory_bytes", 1e6, 1e11);
    between("process_open_fds", 4.0, 1e6);
    between("process_threads", 5.0, 1e6);
    between("process_cpu_seconds_total", 0.0, 1e6);
    between("process_start_time_seconds", now - 86_400.0, now + 1.0);
}

#[test]
fn metrics_group_private_close_codes_and_odd_statuses() {
    let server = TestServer::start();
    for code in (3001..=3981).step_by(98).chain((4000..=4999).step_by(111)) {
        let mut client = server.open("/echo");
        client.send(masked(0x88, u16::to_be_bytes(code)));
        assert_eq!(client.read_frame(), Frame::close(code, ""));
        client.expect_end();
    }
    for status in (200..=599).step_by(7) {
        let response = exchange(server.address, upgrade(&format!("/status/{status}")));
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
    }
    let closed = |by: &str, code: &str| {
        let name = format!("ws_echo_connections_closed_total{{by=\"{by}\",code=\"{code}\"}} ");
        let text = exposition(&server);
        text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
    };
    eventually("all are counted", || closed("client", "4xxx") == 10);
    assert_eq!(closed("client", "3xxx"), 11);
    eventually("all are counted", || closed("http", "5xx") == 15);
    let series = exposition(&server).matches("ws_echo_connections_closed_total{").count();
    assert!(series < 40, "{series} series");
}

#[test]
fn metrics_have_histograms_of_message_sizes_and_session_durations() {
    let server = TestServer::start();
    let mut client = server.open("/echo");
    let sizes = [0, 64, 65, 256, 257, 70_000];
    for size in sizes {
        client.send(masked(0x82, vec![7; size]));
        assert_eq!(client.read_frame().payload.len(), size);
    }
    client.close();
    eventually("it is counted", || metric(server.address, "ws_echo_session_duration_seconds_count") == 1);
    let text = exposition(&server);
    let size = |name: &str| value(&text, &format!("ws_echo_received_message_size_bytes_{name}"));
    let buckets = [("64", 2.0), ("256", 4.0), ("1024", 5.0), ("65536", 5.0), ("262144", 6.0), ("+Inf", 6.0)];
    for (bound, expected) in buckets {
        let found = size(&format!("bucket{{le=\"{bound}\"}}"));
        assert!((found - expected).abs() < f64::EPSILON, "up to {bound}: {found} in {text}");
    }
    let sum: usize = sizes.iter().sum();
    assert_eq!((size("count"), size("sum")), (6.0, f64::from(u32::try_from(sum).unwrap())));
    let duration = value(&text, "ws_echo_session_duration_seconds_sum");
    assert!(duration > 0.0 && duration < 60.0, "{duration} s");
}

/// Skipped where promtool is not installed; scripts/test installs it.
#[test]
fn metrics_pass_promtool() {
    let server = TestServer::with(config());
    server.open("/echo").close();
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = match command.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return println!("skipped: promtool is not installed");
        }
        spawned => spawned.unwrap(),
    };
    promtool.stdin.take().unwrap().write_all(exposition(&server).as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let output_text = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && output_text.is_empty(), "{}", String::from_utf8_lossy(&output_text));
}
