//! More connections than workers.

use std::time::{Duration, Instant};

use crate::harness::{Client, TestServer, config, eventually, metric, text, upgrade};
use ws_echo::Config;

#[test]
fn beyond_workers_and_waiting_room_it_is_503_at_once_and_service_when_a_place_is_free() {
    let server = TestServer::with(Config { workers: 2, waiting: 1, ..config() });
    let first = server.open("/echo");
    let second = server.open("/echo");
    let mut waits = server.connect();
    waits.send(upgrade("/echo"));
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let since = Instant::now();
        let mut refused = server.connect();
        refused.send(upgrade("/echo"));
        let answer = refused.read_head();
        slowest = slowest.max(since.elapsed());
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
        let body = String::from_utf8(refused.read_rest()).unwrap();
        assert!(body.contains("all workers are busy"), "the body says why: {body}");
    }
    assert!(slowest < Duration::from_millis(500), "503 took {slowest:?}");
    first.close();
    assert!(waits.read_head().starts_with("HTTP/1.1 101 "), "a place is free");
    waits.send(text("at last"));
    assert_eq!(waits.read_text(), "at last");
    waits.close();
    second.close();
    server.open("/echo").close();
    let totals = server.finish().totals;
    assert_eq!((totals.refused["full"], totals.sessions, totals.clean), (20, 4, 4));
}

#[test]
fn who_waits_too_long_for_a_worker_is_answered_503() {
    let server = TestServer::with(Config {
        workers: 1,
        waiting: 4,
        handshake_timeout: Duration::from_millis(300),
        ..config()
    });
    let served = server.open("/echo");
    let mut waits = server.connect();
    waits.send(upgrade("/echo"));
    assert!(waits.read_head().starts_with("HTTP/1.1 503 "));
    served.close();
    assert_eq!(server.finish().totals.refused["waited_too_long"], 1);
}

#[test]
fn without_a_waiting_room_the_next_is_refused() {
    let server = TestServer::with(Config { workers: 1, waiting: 0, ..config() });
    let served = server.open("/echo");
    let mut refused = server.connect();
    assert!(refused.read_head().starts_with("HTTP/1.1 503 "), "even before it has said anything");
    served.close();
    // The worker is free as soon as it has seen the end of the stream.
    eventually("service", || {
        let mut client = server.connect();
        client.send(upgrade("/echo"));
        client.read_head().starts_with("HTTP/1.1 101 ")
    });
}

#[test]
fn a_thousand_connections_that_send_nothing_hold_nobody_up() {
    let server = TestServer::with(Config { workers: 1010, ..config() });
    let silent: Vec<Client> = (0..1000).map(|_| server.connect()).collect();
    let mut client = server.open("/echo");
    for n in 0..100 {
        client.send(text(&n.to_string()));
        assert_eq!(client.read_text(), n.to_string());
    }
    eventually("all are with a worker", || metric(server.address, "ws_echo_connections_open") >= 1001);
    drop(silent);
    client.close();
    assert_eq!(server.finish().totals.closed[&("silent", 0)], 1000);
}

#[test]
fn nobody_waits_for_a_worker_that_has_just_become_free() {
    let server = TestServer::with(Config { workers: 1, waiting: 64, ..config() });
    // Each client arrives just as the worker is done with the one before it.
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
    assert_eq!((totals.clean, totals.refused.len()), (1000, 0));
}
