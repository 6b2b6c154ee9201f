//! The name of an instance (`--name`), in everything that says which of several instances has responded.

use serde_json::Value as Json;

use crate::harness::{TestServer, config, exchange, masked, upgrade};
use crate::server_process::{ServerProcess, command};
use ws_echo::Config;

/// Returns the value of the only `X-Served-By` field of a response. Proxies change the case of the name.
pub fn served_by(head: &str) -> &str {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let values: Vec<_> =
        fields.filter(|(name, _)| name.eq_ignore_ascii_case("X-Served-By")).map(|(_, value)| value).collect();
    assert_eq!(values.len(), 1, "{head}");
    values[0]
}

fn named() -> Config {
    Config { name: "web-1".to_owned(), ..config() }
}

#[test]
fn name_is_in_every_response() {
    let server = TestServer::with(named());
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (request, status) in [
        (get("/"), 200),
        (get("/health"), 200),
        (get("/metrics"), 200),
        (get("/missing"), 404),
        (get("/echo"), 426),
        ("HEAD / HTTP/1.0\r\n\r\n".to_owned(), 200),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 405),
        ("not HTTP\r\n\r\n".to_owned(), 400),
        (upgrade("/status/418"), 418),
    ] {
        let response = exchange(server.address, request);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        assert_eq!(served_by(response.split("\r\n\r\n").next().unwrap()), "web-1");
    }
    let mut client = server.connect();
    client.send(upgrade("/echo"));
    assert_eq!(served_by(&client.read_head()), "web-1", "the 101");
    client.close();
}

#[test]
fn name_is_in_responses_to_connections_without_a_place() {
    let server = TestServer::with(Config { connections: 1, waiting: 0, ..named() });
    let _held = server.open("/echo");
    let response = exchange(server.address, upgrade("/echo"));
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert_eq!(served_by(&response), "web-1");
}

#[test]
fn name_is_in_info_metrics_and_summary() {
    let process = ServerProcess::start(&["--name", "web-1"]);
    let mut client = process.open("/info");
    let info: Json = serde_json::from_str(&client.read_text()).unwrap();
    assert_eq!(info["served_by"], "web-1", "{info}");
    client.send(masked(0x88, 1000_u16.to_be_bytes()));
    let metrics = exchange(process.address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let version = env!("CARGO_PKG_VERSION");
    let build_info = format!("ws_echo_build_info{{version=\"{version}\",name=\"web-1\"}} 1\n");
    assert!(metrics.contains(&build_info), "{metrics}");
    process.signal("TERM");
    let (code, out, err) = process.wait();
    assert!(code == Some(0) && out.contains("  name         web-1\n"), "{out}{err}");
}

#[test]
fn name_defaults_to_the_host_name() {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let process = ServerProcess::start(&[]);
    let response = exchange(process.address, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(served_by(&response), host.trim());
}

#[test]
fn name_that_needs_quotes_is_a_usage_error() {
    let output = command(&["--name", "a\r\nSet-Cookie: b"]).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && err.contains("letters, digits"), "{err}");
}
