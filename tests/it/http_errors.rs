//! Responses to requests that cannot be served.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{TestServer, config, eventually, exchange, request, upgrade};
use ws_echo::Config;
use ws_echo::session::end::SessionEnd;

/// Checks that a request gets this status, and that the response contains the words.
fn expect(server: &TestServer, request: impl AsRef<[u8]>, status: u16, words: &str) {
    let response = exchange(server.address, request.as_ref());
    let request = String::from_utf8_lossy(request.as_ref()).into_owned();
    assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{request} got {response}");
    assert!(response.contains(words), "no `{words}` in {response}");
    let connection = if status == 426 { "upgrade, close" } else { "close" };
    assert!(response.contains(&format!("\r\nConnection: {connection}\r\n")), "{response}");
    assert!(response.contains(" GMT\r\n"), "no Date in {response}");
}

#[test]
fn unknown_path_is_404() {
    let server = TestServer::start();
    expect(&server, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404, "no page here");
    let summary = server.finish();
    assert_eq!(summary.totals.closed[&SessionEnd::HttpResponse(404).labels()], 1);
}

#[test]
fn other_method_is_405_with_allow() {
    let server = TestServer::start();
    expect(
        &server,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        405,
        "Allow: GET, HEAD\r\n",
    );
    expect(&server, "DELETE /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 405, "Allow: GET, HEAD\r\n");
    expect(&server, upgrade("/").replace("GET", "PUT"), 405, "Allow: GET, HEAD\r\n");
}

#[test]
fn incomplete_upgrade_is_400_and_names_what_is_missing() {
    let server = TestServer::start();
    for (field, value, words) in [
        ("Sec-WebSocket-Key", "", "one Sec-WebSocket-Key"),
        ("Sec-WebSocket-Key", "c2hvcnQ=", "16 bytes in base64"),
        ("Sec-WebSocket-Key", "not base64 at all!!!!!!!", "16 bytes in base64"),
        ("Sec-WebSocket-Version", "", "one Sec-WebSocket-Version"),
        ("Connection", "keep-alive", "`Connection: Upgrade`"),
        ("Upgrade", "", "`Upgrade: websocket`"),
        ("Host", "", "one Host"),
        ("Content-Length", "5", "no body"),
        ("Transfer-Encoding", "chunked", "no body"),
    ] {
        expect(&server, request("/", &[(field, value)]), 400, words);
    }
    let twice = upgrade("/").replace("Host: localhost\r\n", "Host: localhost\r\nHost: other\r\n");
    expect(&server, twice, 400, "one Host");
}

#[test]
fn http_1_0_request_is_not_upgraded_and_needs_no_host() {
    let server = TestServer::start();
    expect(&server, upgrade("/").replace("HTTP/1.1", "HTTP/1.0"), 426, "proxy_http_version 1.1");
    expect(&server, "GET /health HTTP/1.0\r\n\r\n", 200, "\r\n\r\nok\n");
    expect(&server, "GET /health HTTP/1.1\r\n\r\n", 400, "one Host");
}

#[test]
fn old_websocket_draft_is_400() {
    let server = TestServer::start();
    let draft = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\r\n^n:ds[4U";
    expect(&server, draft, 400, "old draft");
}

#[test]
fn other_websocket_version_is_426_and_names_13() {
    let server = TestServer::start();
    for version in ["8", "14", "013", "x"] {
        let request = request("/", &[("Sec-WebSocket-Version", version)]);
        expect(&server, request, 426, "\r\nSec-WebSocket-Version: 13\r\n");
    }
}

#[test]
fn oversize_request_head_is_431() {
    let server = TestServer::start();
    expect(&server, request("/", &[("Cookie", &"x".repeat(16 << 10))]), 431, "too large");
    let many: String = (0..101).map(|n| format!("X-{n}: 1\r\n")).collect();
    expect(&server, format!("GET / HTTP/1.1\r\n{many}\r\n"), 431, "too many fields");
    expect(&server, vec![b'x'; 20 << 10], 431, "too large");
}

#[test]
fn bytes_that_are_not_http_are_400() {
    let server = TestServer::start();
    expect(&server, "\x16\x03\x01\x02", 400, "not an HTTP/1.1 request but a TLS handshake");
    expect(
        &server,
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        400,
        "but a PROXY header (see --proxy-protocol)",
    );
    expect(&server, "\r\n\r\n\0\r\nQUIT\n", 400, "but a PROXY header (see --proxy-protocol)");
    expect(&server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "but HTTP/2");
    expect(&server, "GET / HTTP/2.0\r\n\r\n", 400, "not a valid HTTP/1.1 request");
}

#[test]
fn late_request_head_is_408_and_frees_the_worker() {
    let config = Config { connections: 1, handshake_timeout: Duration::from_millis(500), ..config() };
    let server = TestServer::with(config);
    let mut slow = server.connect();
    let mut feed = slow.stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        for byte in upgrade("/").into_bytes() {
            // The rate of a slow client, not a wait for anything.
            thread::sleep(Duration::from_millis(100));
            if feed.write_all(&[byte]).is_err() {
                return;
            }
        }
        panic!("the server received the whole head");
    });
    let since = Instant::now();
    let response = slow.read_head();
    let took = since.elapsed();
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(3), "after {took:?}");
    // The only worker serves the next client although the slow one continues.
    eventually("the worker is free", || {
        let mut next = server.connect();
        next.send(upgrade("/echo"));
        next.read_head().starts_with("HTTP/1.1 101 ")
    });
    sender.join().unwrap();
    assert_eq!(server.finish().totals.closed[&("http", 408)], 1);
}

#[test]
fn late_request_head_that_goes_on_is_not_reset_after_its_408() {
    let server = TestServer::with(Config { handshake_timeout: Duration::from_millis(300), ..config() });
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\n");
    client.stream.peek(&mut [0]).unwrap();
    for n in 0..10 {
        let sent = client.stream.write_all(b"X: y\r\n");
        sent.unwrap_or_else(|error| panic!("{error} at line {n} behind the response"));
        // The rate of a slow client, not a wait for anything.
        thread::sleep(Duration::from_millis(20));
    }
    let response = String::from_utf8(client.read_rest()).unwrap();
    assert!(response.starts_with("HTTP/1.1 408 ") && response.ends_with("in time\n"), "{response}");
}

#[test]
fn connection_that_sends_nothing_is_closed_without_a_response() {
    let server = TestServer::with(Config { handshake_timeout: Duration::from_millis(200), ..config() });
    let mut silent = server.connect();
    silent.expect_end();
    assert_eq!(server.finish().totals.closed[&("silent", 0)], 1);
}

#[test]
fn response_arrives_when_the_request_body_is_not_read() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    client.send(vec![b'x'; 100_000]);
    let response = String::from_utf8(client.read_rest()).unwrap();
    assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
}

#[test]
fn connection_kept_open_after_its_response_frees_the_worker() {
    let server = TestServer::with(Config { connections: 1, ..config() });
    let mut idle = server.connect();
    idle.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(String::from_utf8(idle.read_rest()).unwrap().ends_with("\r\n\r\nok\n"));
    // The client keeps its side open, and the only worker becomes free all the same.
    let since = Instant::now();
    server.open("/echo").close();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    idle.expect_end();
}
