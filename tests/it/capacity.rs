//! More connections than places.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use crate::harness::{Client, TestServer, config, eventually, exchange, metric, text, upgrade};
use ws_echo::Config;

#[test]
fn queue_full_rejects_with_503_at_once_until_a_place_is_free() {
    let server = TestServer::with(Config { connections: 2, waiting: 1, ..config() });
    let first = server.open("/echo");
    let second = server.open("/echo");
    let mut queued = server.connect();
    queued.send(upgrade("/echo"));
    eventually("it is queued", || metric(server.address, "ws_echo_connections_waiting") == 1);
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let since = Instant::now();
        let mut rejected = server.connect();
        rejected.send(upgrade("/echo"));
        let response = rejected.read_head();
        slowest = slowest.max(since.elapsed());
        assert!(
            response.starts_with("HTTP/1.1 503 ") && response.contains("\r\nRetry-After: 1\r\n"),
            "{response}"
        );
        let body = String::from_utf8(rejected.read_rest()).unwrap();
        assert!(body.contains("all connections are in use"), "the body says why: {body}");
    }
    assert!(slowest < Duration::from_millis(500), "503 took {slowest:?}");
    first.close();
    assert!(queued.read_head().starts_with("HTTP/1.1 101 "), "a place is free");
    queued.send(text("served"));
    assert_eq!(queued.read_text(), "served");
    queued.close();
    second.close();
    server.open("/echo").close();
    let totals = server.finish().totals;
    assert_eq!((totals.rejected["full"], totals.sessions, totals.clean), (20, 4, 4));
}

#[test]
fn queue_wait_over_the_handshake_timeout_is_rejected_with_503() {
    let server = TestServer::with(Config {
        connections: 1,
        waiting: 4,
        handshake_timeout: Duration::from_millis(300),
        ..config()
    });
    let served = server.open("/echo");
    let mut queued = server.connect();
    queued.send(upgrade("/echo"));
    assert!(queued.read_head().starts_with("HTTP/1.1 503 "));
    served.close();
    assert_eq!(server.finish().totals.rejected["waited_too_long"], 1);
}

#[test]
fn queue_of_zero_rejects_the_next_connection() {
    let server = TestServer::with(Config { connections: 1, waiting: 0, ..config() });
    let served = server.open("/echo");
    let mut rejected = server.connect();
    rejected.send(upgrade("/echo"));
    assert!(rejected.read_head().starts_with("HTTP/1.1 503 "));
    served.close();
    // The place is free when a worker has read the end of the stream.
    eventually("service", || {
        let mut client = server.connect();
        client.send(upgrade("/echo"));
        client.read_head().starts_with("HTTP/1.1 101 ")
    });
}

#[test]
fn rejection_is_the_response_to_a_request() {
    let server = TestServer::with(Config { connections: 1, waiting: 0, ..config() });
    let served = server.open("/echo");
    let mut rejected = server.connect();
    let request = upgrade("/echo");
    let (first, rest) = request.split_at(request.len() - 2);
    rejected.send(first);
    // A probe that came later has its response, so the server has seen the bytes before.
    assert!(exchange(server.address, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 200 "));
    rejected.stream.set_nonblocking(true).unwrap();
    let early = rejected.stream.peek(&mut [0]).expect_err("a response before the request was complete");
    assert_eq!(early.kind(), ErrorKind::WouldBlock);
    rejected.stream.set_nonblocking(false).unwrap();
    rejected.send(rest);
    assert!(rejected.read_head().starts_with("HTTP/1.1 503 "));
    served.close();
}

#[test]
fn probes_are_answered_while_the_server_is_full() {
    let server = TestServer::with(Config { connections: 1, waiting: 1, ..config() });
    let address = server.address;
    let probe = |path: &str| exchange(address, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(probe("/readyz").starts_with("HTTP/1.1 200 "));
    let served = server.open("/echo");
    let mut queued = server.connect();
    queued.send(upgrade("/echo"));
    eventually("it is queued", || metric(address, "ws_echo_connections_waiting") == 1);
    let mute: Vec<_> = (0..500).map(|_| server.connect()).collect();
    for (path, status) in [("/livez", 200), ("/health", 200), ("/readyz", 503), ("/metrics", 200)] {
        let since = Instant::now();
        let response = probe(path);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {response}");
        assert!(since.elapsed() < Duration::from_secs(1), "{path} took {:?}", since.elapsed());
    }
    drop(mute);
    served.close();
    assert!(queued.read_head().starts_with("HTTP/1.1 101 "));
    let totals = server.finish().totals;
    assert_eq!(totals.rejected["full"], 0, "probes are not rejected: {totals:?}");
}

#[test]
fn mute_connections_take_no_place() {
    let server = TestServer::with(Config { connections: 1, waiting: 0, ..config() });
    let mute: Vec<_> = (0..50).map(|_| server.connect()).collect();
    let mut client = server.open("/echo");
    client.send(text("served"));
    assert_eq!(client.read_text(), "served");
    drop(mute);
}

#[test]
fn silent_connections_do_not_delay_other_sessions() {
    let handshake_timeout = Duration::from_mins(1);
    let server = TestServer::with(Config { connections: 1010, handshake_timeout, ..config() });
    let silent: Vec<Client> = (0..1000).map(|_| server.connect()).collect();
    let mut client = server.open("/echo");
    for n in 0..100 {
        client.send(text(&n.to_string()));
        assert_eq!(client.read_text(), n.to_string());
    }
    eventually("all are served", || metric(server.address, "ws_echo_connections_open") >= 1001);
    drop(silent);
    client.close();
    assert_eq!(server.finish().totals.closed[&("silent", 0)], 1000);
}

#[test]
fn queue_wait_ends_when_a_place_becomes_free() {
    let server = TestServer::with(Config { connections: 1, waiting: 64, ..config() });
    // Each client connects when the one before it has just ended.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    server.open("/echo").close();
                }
            });
        }
    });
    let totals = server.finish().totals;
    assert_eq!((totals.clean, totals.rejected.values().sum::<u64>()), (1000, 0));
}
