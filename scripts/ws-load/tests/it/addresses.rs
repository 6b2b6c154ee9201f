//! Hosts with several addresses, and how they are reached.

use crate::{
    runs::ws_load,
    test_servers::{FullListener, Server},
};
use std::{
    collections::BTreeSet,
    net::{Ipv6Addr, TcpListener},
    sync::{Arc, Mutex},
};

#[test]
fn addresses_that_refuse_are_skipped_without_a_failure() {
    let server = Server::echo();
    let port = server.address.port();
    let resolve = format!("name.invalid:{port}:[::1],127.0.0.1");
    let url = format!("ws://name.invalid:{port}/");
    let run = ws_load(&url, &["-c", "100", "-n", "1000", "--resolve", &resolve]);
    assert_eq!((run.code, run.count("failed"), run.count("replies")), (Some(0), 0, 1000), "{run:?}");
}

#[test]
fn addresses_of_localhost_are_all_tried() {
    let v4 = Server::echo();
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        eprintln!("this machine has no IPv6: the second half is left out");
        return;
    };
    let v6 = Server::echo_on(listener);
    for server in [v4, v6] {
        let port = server.address.port();
        let resolve = format!("localhost:{port}:::1,127.0.0.1");
        let url = format!("ws://localhost:{port}/");
        let run = ws_load(&url, &["-c", "40", "-t", "2", "-n", "400", "--resolve", &resolve]);
        assert_eq!((run.code, run.count("failed")), (Some(0), 0), "{run:?}");
    }
}

#[test]
fn address_that_is_silent_costs_250_ms_once() {
    let server = Server::echo();
    let port = server.address.port();
    let _full = FullListener::new("127.0.0.2", port);
    let resolve = format!("name.invalid:{port}:127.0.0.2,127.0.0.1");
    let url = format!("ws://name.invalid:{port}/");
    let run = ws_load(&url, &["--churn", "-c", "1", "-n", "40", "--resolve", &resolve]);
    assert_eq!((run.code, run.count("cycles")), (Some(0), 40), "{run:?}");
    let [median, longest] = ["/opening/p50_us", "/opening/max_us"].map(|path| run.number(path));
    // A lost SYN is sent again after 1 s, and a run without the delay would wait for it.
    assert!((250_000.0..900_000.0).contains(&longest) && median < 200_000.0, "{median} {longest} {run:?}");
}

#[test]
fn addresses_that_all_refuse_are_reported_at_once() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let resolve = format!("name.invalid:{free}:127.0.0.1,127.0.0.2,[::1]");
    let run = ws_load(&format!("ws://name.invalid:{free}/"), &["-c", "3", "--resolve", &resolve]);
    assert_eq!((run.code, run.stderr.lines().count()), (Some(1), 1), "{run:?}");
    assert!(run.stderr.contains("connection refused; is a server listening"), "{run:?}");
}

#[test]
fn source_addresses_are_used_in_turn() {
    let peers = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&peers);
    let server = Server::raw(move |stream, _, _| {
        seen.lock().unwrap().insert(stream.peer_addr().unwrap().ip().to_string());
        let Ok(mut websocket) = tungstenite::accept(stream) else { return };
        while let Ok(message) = websocket.read() {
            if message.is_text() && websocket.send(message).is_err() {
                return;
            }
        }
    });
    let run = ws_load(
        &server.url(),
        &["-c", "12", "-n", "24", "--source", "127.0.9.0/30", "--source", "127.0.9.9"],
    );
    assert_eq!((run.code, run.count("replies")), (Some(0), 24), "{run:?}");
    let expected = ["127.0.9.1", "127.0.9.2", "127.0.9.9"].map(str::to_owned);
    assert_eq!(*peers.lock().unwrap(), BTreeSet::from(expected));
}

#[test]
fn source_addresses_that_cannot_be_used_are_named() {
    let server = Server::echo();
    let run = ws_load(&server.url(), &["-c", "1", "--source", "192.0.2.1"]);
    assert!(run.code == Some(1) && run.stderr.contains("source address 192.0.2.1 cannot be used"), "{run:?}");
    let run = ws_load(&server.url(), &["-c", "1", "--source", "::1"]);
    assert!(run.code == Some(1) && run.stderr.contains("no --source is an address of the family"), "{run:?}");
    let run = ws_load(&server.url(), &["-c", "1", "--source", "10.0.0.0/8"]);
    assert!(run.code == Some(2) && run.stderr.contains("use a longer prefix"), "{run:?}");
}

#[test]
fn resolve_that_is_malformed_is_a_usage_error() {
    let run = ws_load("ws://127.0.0.1:1/", &["--resolve", "name:127.0.0.1"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("HOST:PORT:ADDRESS"), "{run:?}");
}
