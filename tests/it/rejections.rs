//! The log line of each rejected request.

use crate::harness::{Client, eventually, metric, request, upgrade};
use crate::server_process::ServerProcess;

fn address_of(client: &Client) -> String {
    client.stream.local_addr().unwrap().to_string()
}

/// Sends a request that has to wait for a place, and waits until it does.
fn waiting(process: &ServerProcess, path: &str) -> Client {
    let mut client = Client::connect(process.address);
    client.send(upgrade(path));
    eventually("it waits", || metric(process.address, "ws_echo_connections_waiting") == 1);
    client
}

/// Stops a server. Returns its log lines.
fn stop(process: ServerProcess) -> Vec<String> {
    process.signal("TERM");
    let (code, _, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
    err.lines().map(str::to_owned).collect()
}

/// Sends bytes and reads the response. Returns its status and the address of the client.
fn rejected(process: &ServerProcess, bytes: impl AsRef<[u8]>) -> (String, String) {
    let mut client = Client::connect(process.address);
    let peer = address_of(&client);
    client.send(bytes);
    let response = String::from_utf8(client.read_rest()).unwrap();
    (response.split(' ').nth(1).unwrap_or_default().to_owned(), peer)
}

/// Checks that one line has the peer, this status and these words.
fn expect_line(lines: &[String], peer: &str, words: &str) {
    let found: Vec<_> = lines.iter().filter(|line| line.contains(&format!(" {peer} "))).collect();
    assert!(found.len() == 1 && found[0].ends_with(words), "not one `{words}`: {found:#?}");
}

#[test]
fn rejection_is_one_line_with_peer_status_and_sentence() {
    let arguments = ["--handshake-timeout", "1s", "--allow-origin", "https://a.example", "--disable=/push"];
    let process = ServerProcess::start(&arguments);
    let http_1_0 = upgrade("/echo").replace("HTTP/1.1", "HTTP/1.0");
    let odd_target = format!("GET /\u{202e}{} HTTP/1.1\r\nHost: a\r\n\r\n", "p".repeat(200));
    let cut =
        format!(" GET /\\u{{202e}}{}… (204 bytes): 404: no page here; this path accepts", "p".repeat(118));
    let cases: [(String, &str, &str); 13] = [
        ("BAD\r\n\r\n".into(), "400", " 400: not a valid HTTP/1.1 request: invalid token"),
        ("GET /\x1b[31m HTTP/1.1\r\n\r\n".into(), "400", " 400: not a valid HTTP/1.1 request: invalid token"),
        (
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".into(),
            "400",
            "but a PROXY header (see --proxy-protocol), which this port does not take",
        ),
        (
            "\x16\x03\x01\x02".into(),
            "400",
            "but a TLS handshake, as for wss:// or https://, which this port does not take",
        ),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), "400", "but HTTP/2, which this port does not take"),
        (request("/", &[("Cookie", &"x".repeat(16 << 10))]), "431", "at most 16384 bytes, 100 fields"),
        (
            request("/echo", &[("Origin", "https://b.example")]),
            "403",
            " GET /echo: 403: connections from this origin are not allowed",
        ),
        (upgrade("/push"), "404", " GET /push: 404: this endpoint is disabled on this server"),
        (
            request("/echo", &[("Sec-WebSocket-Key", "")]),
            "400",
            " GET /echo: 400: the request needs one Sec-WebSocket-Key header",
        ),
        (
            http_1_0,
            "426",
            " GET /echo: 426: a WebSocket handshake needs HTTP/1.1; nginx sends it with `proxy_http_version 1.1`",
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "405", " POST /: 405: only GET and HEAD are supported"),
        (odd_target, "404", "and / is a test page"),
        ("GET / HTTP/1.1\r\nHost: ".into(), "408", " 408: the request head was not complete in time"),
    ];
    let peers = cases.map(|(bytes, status, words)| {
        let (found, peer) = rejected(&process, &bytes);
        assert_eq!(found, status, "{bytes}");
        (peer, words)
    });
    let lines = stop(process);
    for (peer, words) in &peers {
        expect_line(&lines, peer, words);
    }
    assert!(lines.iter().any(|line| line.contains(&cut)), "no `{cut}` in {lines:#?}");
}

#[test]
fn rejection_for_want_of_a_place_is_one_line_with_peer_status_and_sentence() {
    let arguments = ["--connections", "1", "--waiting", "1", "--handshake-timeout", "1s"];
    let process = ServerProcess::start(&arguments);
    let _served = process.open("/echo");
    let mut late = waiting(&process, "/late");
    let (status, full) = rejected(&process, upgrade("/full"));
    assert_eq!(status, "503");
    assert!(late.read_head().starts_with("HTTP/1.1 503 "));
    let lines = stop(process);
    expect_line(&lines, &full, " GET /full: 503: all connections are in use; try again later");
    expect_line(&lines, &address_of(&late), " GET /late: 503: no connection ended in time; try again later");
}

#[test]
fn rejection_at_the_stop_is_one_line_with_peer_status_and_sentence() {
    let process =
        ServerProcess::start(&["--connections", "1", "--waiting", "1", "--handshake-timeout", "1m"]);
    let mut served = process.open("/echo");
    let mut queued = waiting(&process, "/queued");
    let mut unfinished = Client::connect(process.address);
    unfinished.send("GET /unfinished HTTP/1.1\r\n");
    let mute = Client::connect(process.address);
    process.signal("TERM");
    assert_eq!(served.read_frame().code(), 1001);
    for client in [&mut queued, &mut unfinished] {
        let head = client.read_head();
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    }
    let peers = [&queued, &unfinished, &mute].map(address_of);
    drop((served, queued, unfinished, mute));
    let (code, _, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
    let lines: Vec<_> = err.lines().map(str::to_owned).collect();
    expect_line(&lines, &peers[0], " GET /queued: 503: the server is shutting down");
    expect_line(&lines, &peers[1], " 503: the server is shutting down");
    assert!(!err.contains(&peers[2]), "a client that sent nothing: {err}");
}
