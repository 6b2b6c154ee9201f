//! The table of answers to what goes wrong: none of them is silence.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, TestServer, config, eventually, exchange, request, upgrade};
use ws_echo::Config;
use ws_echo::session::end::SessionEnd;

/// The request is answered with the status, and the answer contains the words.
fn expect(server: &TestServer, request: impl AsRef<[u8]>, status: u16, words: &str) {
    let answer = exchange(server.address, request.as_ref());
    let request = String::from_utf8_lossy(request.as_ref()).into_owned();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request} got {answer}");
    assert!(answer.contains(words), "no `{words}` in {answer}");
    let connection = if status == 426 { "upgrade, close" } else { "close" };
    assert!(answer.contains(&format!("\r\nConnection: {connection}\r\n")), "{answer}");
    assert!(answer.contains(" GMT\r\n"), "no Date in {answer}");
}

#[test]
fn an_unknown_path_is_404() {
    let server = TestServer::start();
    expect(&server, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404, "no page here");
    let summary = server.finish();
    assert_eq!(summary.totals.closed[&SessionEnd::HttpResponse(404).labels()], 1);
}

#[test]
fn another_method_is_405_with_allow() {
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
fn an_upgrade_without_what_it_needs_is_400_and_says_what_is_missing() {
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
fn http_1_0_knows_no_upgrade_and_needs_no_host() {
    let server = TestServer::start();
    expect(&server, upgrade("/health").replace("HTTP/1.1", "HTTP/1.0"), 200, "\r\n\r\nok\n");
    expect(&server, "GET /health HTTP/1.0\r\n\r\n", 200, "\r\n\r\nok\n");
    expect(&server, "GET /health HTTP/1.1\r\n\r\n", 400, "one Host");
}

#[test]
fn an_older_draft_is_400() {
    let server = TestServer::start();
    let draft = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\r\n^n:ds[4U";
    expect(&server, draft, 400, "old draft");
}

#[test]
fn another_version_is_426_and_says_which() {
    let server = TestServer::start();
    for version in ["8", "14", "013", "x"] {
        let asked = request("/", &[("Sec-WebSocket-Version", version)]);
        expect(&server, asked, 426, "\r\nSec-WebSocket-Version: 13\r\n");
    }
}

#[test]
fn a_head_too_large_or_with_too_many_fields_is_431() {
    let server = TestServer::start();
    expect(&server, request("/", &[("Cookie", &"x".repeat(16 << 10))]), 431, "too large");
    let many: String = (0..101).map(|n| format!("X-{n}: 1\r\n")).collect();
    expect(&server, format!("GET / HTTP/1.1\r\n{many}\r\n"), 431, "too many fields");
    expect(&server, vec![b'x'; 20 << 10], 431, "too large");
}

#[test]
fn what_is_no_http_is_400() {
    let server = TestServer::start();
    expect(&server, "\x16\x03\x01\x02\r\n\r\n", 400, "not a valid HTTP/1.1 request");
    expect(&server, "GET / HTTP/2.0\r\n\r\n", 400, "not a valid HTTP/1.1 request");
}

#[test]
fn a_head_not_complete_by_the_deadline_is_408_and_the_worker_is_free() {
    let config = Config { workers: 1, handshake_timeout: Duration::from_millis(500), ..config() };
    let server = TestServer::with(config);
    let mut slow = server.connect();
    let mut feed = slow.stream.try_clone().unwrap();
    let dribble = thread::spawn(move || {
        for byte in upgrade("/").into_bytes() {
            // The attack itself, not a wait for anything.
            thread::sleep(Duration::from_millis(100));
            if feed.write_all(&[byte]).is_err() {
                return;
            }
        }
        panic!("the server took the whole head");
    });
    let since = Instant::now();
    let answer = slow.read_head();
    let took = since.elapsed();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(3), "after {took:?}");
    // The only worker serves the next client although the slow one goes on.
    eventually("the worker is free", || {
        let mut next = server.connect();
        next.send(upgrade("/echo"));
        next.read_head().starts_with("HTTP/1.1 101 ")
    });
    dribble.join().unwrap();
    assert_eq!(server.finish().totals.closed[&("http", 408)], 1);
}

#[test]
fn who_sends_nothing_is_just_closed() {
    let server = TestServer::with(Config { handshake_timeout: Duration::from_millis(200), ..config() });
    let mut silent = server.connect();
    silent.expect_end();
    assert_eq!(server.finish().totals.closed[&("silent", 0)], 1);
}

#[test]
fn an_answer_survives_the_bytes_that_nobody_reads() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    client.send(vec![b'x'; 100_000]);
    let answer = String::from_utf8(client.read_rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[test]
fn who_keeps_an_answered_connection_is_cut() {
    let server = TestServer::with(Config { workers: 1, ..config() });
    let mut lingerer = server.connect();
    lingerer.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(String::from_utf8(lingerer.read_rest()).unwrap().ends_with("\r\n\r\nok\n"));
    // It does not end its side, and the only worker is free all the same.
    let since = Instant::now();
    server.open("/echo").close();
    assert!(since.elapsed() < PATIENCE);
}
