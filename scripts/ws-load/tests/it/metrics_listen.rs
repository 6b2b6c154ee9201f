//! Metrics for Prometheus while a run goes on.

use crate::{harness::eventually, runs::ws_load, test_servers::Server};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A run that listens, and the address.
struct Watched {
    run: Child,
    address: SocketAddr,
}

impl Watched {
    fn start(server: &Server, options: &[&str]) -> Self {
        let mut run = Command::new(env!("CARGO_BIN_EXE_ws-load"))
            .arg(server.url())
            .args(options)
            .args(["--metrics-listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ws-load starts");
        let mut line = String::new();
        BufReader::new(run.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.strip_prefix("ws-load: metrics on http://").and_then(|rest| rest.split('/').next());
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).parse().unwrap();
        Self { run, address }
    }

    /// Sends a request and returns the response. Fails if the listener does not answer.
    fn request(&self, request: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(request.as_bytes())?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    }

    fn metric(&self, name: &str) -> u64 {
        let page = self.request("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap_or_default();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.run.kill();
        let _ = self.run.wait();
    }
}

#[test]
fn metrics_follow_the_run() {
    let server = Server::replying(|number, message| if number % 10 == 9 { vec![] } else { vec![message] });
    let options = ["-c", "2", "-d", "50", "--rate", "100", "-D", "30s", "--timeout", "200ms"];
    let watched = Watched::start(&server, &options);
    eventually("replies are counted", || watched.metric("ws_load_replies_total") >= 90);
    eventually("losses are counted", || watched.metric("ws_load_missing_total") >= 9);
    assert!(watched.metric("ws_load_errors_total") >= 9);
    assert_eq!(watched.metric("ws_load_open_connections"), 2);
    assert_eq!(watched.metric("ws_load_requested_messages_per_second"), 100);
    let page = watched.request("GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{page}");
    assert!(page.contains("ws_load_duration_seconds_bucket{kind=\"corrected\",le=\"+Inf\"} "), "{page}");
    // Each metric is described once.
    let types: Vec<_> = page.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let names: std::collections::BTreeSet<_> = types.iter().collect();
    assert_eq!(types.len(), names.len(), "{page}");
}

#[test]
fn metrics_listener_answers_what_it_does_not_know() {
    let server = Server::echo();
    let watched = Watched::start(&server, &["-c", "1", "--hold", "-D", "30s"]);
    for (request, status) in [
        ("GET /other HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "),
        ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 "),
        ("HEAD /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 "),
        ("GET /metrics?a=b HTTP/1.0\r\n\r\n", "HTTP/1.1 200 "),
    ] {
        let response = watched.request(request).unwrap();
        assert!(response.starts_with(status), "{request}: {response}");
        assert_eq!(response.ends_with("\r\n\r\n"), request.starts_with("HEAD"), "{response}");
    }
    // A client that sends nothing, and one that sends too much, hold it up for a limited time.
    let silent = TcpStream::connect(watched.address).unwrap();
    let endless = watched.request(&"x".repeat(20_000));
    assert!(endless.is_err() || endless.is_ok_and(|response| response.is_empty()));
    eventually("the listener goes on", || {
        watched.request("GET / HTTP/1.1\r\n\r\n").is_ok_and(|page| !page.is_empty())
    });
    drop(silent);
}

#[test]
fn metrics_end_with_the_run() {
    let server = Server::echo();
    let mut watched = Watched::start(&server, &["-c", "1", "-n", "10"]);
    assert!(watched.run.wait().unwrap().success());
    assert!(TcpStream::connect(watched.address).is_err());
}

#[test]
fn metrics_address_in_use_is_an_error_before_the_run() {
    let server = Server::echo();
    let used = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = used.local_addr().unwrap().to_string();
    let run = ws_load(&server.url(), &["-D", "1h", "--metrics-listen", &address]);
    assert_eq!((run.code, server.counted()), (Some(1), 0), "{run:?}");
    assert!(run.stderr.contains("--metrics-listen") && run.stderr.lines().count() == 1, "{run:?}");
}
