//! The opening handshake (RFC 6455, 4).

use crate::harness::{Client, TestServer, config, exchange, request, text, upgrade};
use ws_echo::Config;

#[test]
fn handshake_accept_value_matches_the_key() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(upgrade("/"));
    let head = client.read_head();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    let lower = head.to_ascii_lowercase();
    assert!(head.contains(": rE91AJhfC+6JdVcVXOGJEADEJdQ=\r\n"), "{head}");
    assert!(
        lower.contains("\r\nupgrade: websocket\r\n") && lower.contains("\r\nconnection: upgrade\r\n"),
        "{head}"
    );
    assert!(
        !lower.contains("sec-websocket-protocol") && !lower.contains("sec-websocket-extensions"),
        "{head}"
    );
}

/// The first key is the example of RFC 6455, 4.1. Its last symbol has bits that the padding leaves unused.
#[test]
fn handshake_key_may_be_any_base64_form_of_16_bytes() {
    let server = TestServer::start();
    for key in ["AQIDBAUGBwgJCgsMDQ4PEC==", "AQIDBAUGBwgJCgsMDQ4PEA==", "dGhlIHNhbXBsZSBub25jZR=="] {
        let head = response_head(&server, &request("/", &[("Sec-WebSocket-Key", key)]));
        assert!(head.starts_with("HTTP/1.1 101 "), "{key}: {head}");
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        assert!(head.contains(&format!("\r\nSec-WebSocket-Accept: {accept}\r\n")), "{key}: {head}");
    }
    let long = "JCMCrKJENqcrTU9erFxGoiP5P8JhjeocERQs9vgR/Y4=";
    let short = "SGVsbG8sIHdvcmxkIQ==";
    for key in
        [long, short, "==", "AQIDBAUGBwgJCgsMDQ4PEC", "AQIDBAUGBwgJCgsMDQ4P_-==", "AQIDBAUGBwgJCgsMDQ4P=C=="]
    {
        let head = response_head(&server, &request("/", &[("Sec-WebSocket-Key", key)]));
        assert!(head.starts_with("HTTP/1.1 400 "), "{key}: {head}");
    }
}

#[test]
fn handshake_head_may_arrive_byte_by_byte_or_with_frames_behind_it() {
    let server = TestServer::start();
    let mut client = server.connect();
    for byte in upgrade("/echo").into_bytes() {
        client.send([byte]);
    }
    assert!(client.read_head().starts_with("HTTP/1.1 101 "));
    client.close();
    let mut early = server.connect();
    early.send([upgrade("/echo").into_bytes(), text("early")].concat());
    assert!(early.read_head().starts_with("HTTP/1.1 101 "));
    assert_eq!(early.read_text(), "early");
}

#[test]
fn handshake_accepts_legal_variations_of_the_head() {
    let server = TestServer::start();
    let cookies = "a=b; ".repeat(1000);
    let variations = [
        request("/echo", &[("Connection", "keep-alive, UPGRADE")]),
        request("/echo", &[("Upgrade", "h2c, WebSocket")]),
        request("/echo", &[("Cookie", cookies.trim_end())]),
        request("/echo?x=%C3%A4&y={}|", &[("Origin", "null")]),
        request("http://localhost/echo", &[]),
        request("/echo", &[]).replace("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"),
    ];
    for head in variations {
        let mut client = server.connect();
        client.send(&head);
        assert!(client.read_head().starts_with("HTTP/1.1 101 "), "{head}");
        client.close();
    }
}

#[test]
fn subprotocol_preferred_by_the_server_is_chosen() {
    let server =
        TestServer::with(Config { subprotocols: vec!["chat.v2".into(), "chat.v1".into()], ..config() });
    let offered = |names: &str| {
        let mut client = server.connect();
        client.send(request("/", &[("Sec-WebSocket-Protocol", names)]));
        client.read_head().to_ascii_lowercase()
    };
    assert!(offered("chat.v1, chat.v2").contains("\r\nsec-websocket-protocol: chat.v2\r\n"));
    assert!(offered("chat.v1").contains("\r\nsec-websocket-protocol: chat.v1\r\n"));
    assert!(!offered("other").contains("sec-websocket-protocol"));
}

#[test]
fn origin_must_be_allowed_when_a_list_is_configured() {
    let server = TestServer::with(Config { allow_origin: vec!["https://example.com".into()], ..config() });
    let from = |origin: &str| response_head(&server, &request("/", &[("Origin", origin)]));
    assert!(from("https://EXAMPLE.com").starts_with("HTTP/1.1 101 "));
    assert!(from("").starts_with("HTTP/1.1 101 "), "only browsers send an origin");
    let rejected = exchange(server.address, request("/", &[("Origin", "https://evil.example")]));
    assert!(rejected.starts_with("HTTP/1.1 403 ") && rejected.contains("not allowed"), "{rejected}");
}

#[test]
fn origin_of_the_server_itself_is_allowed_with_same_origin() {
    let allow_origin = vec!["same-origin".to_owned(), "https://example.com".to_owned()];
    let server = TestServer::with(Config { allow_origin, ..config() });
    for (host, origin, allowed) in [
        ("localhost:1234", "http://localhost:1234", true),
        ("LocalHost:1234", "https://localhost:1234", true),
        ("a.example", "https://a.example", true),
        ("a.example:443", "https://a.example", true),
        ("a.example:80", "http://a.example", true),
        ("a.example", "https://example.com", true),
        ("a.example:443", "http://a.example", false),
        ("localhost:1234", "http://localhost:1235", false),
        ("localhost:1234", "http://localhost", false),
        ("a.example", "https://b.example", false),
        ("a.example", "null", false),
        ("a.example", "a.example", false),
    ] {
        let head = response_head(&server, &request("/", &[("Host", host), ("Origin", origin)]));
        let status = if allowed { "HTTP/1.1 101 " } else { "HTTP/1.1 403 " };
        assert!(head.starts_with(status), "{host} {origin}: {head}");
    }
}

#[test]
fn host_must_be_allowed_when_a_list_is_configured() {
    let allow_host = vec!["echo.example".to_owned(), "localhost:1234".to_owned(), "[::1]".to_owned()];
    let server = TestServer::with(Config { allow_host, ..config() });
    for (host, allowed) in [
        ("echo.example", true),
        ("ECHO.example:8080", true),
        ("localhost:1234", true),
        ("[::1]:1234", true),
        ("[::1]", true),
        ("localhost", false),
        ("localhost:1235", false),
        ("evil.example", false),
        ("echo.example.evil.example", false),
        ("127.0.0.1", false),
    ] {
        let upgraded = response_head(&server, &request("/", &[("Host", host)]));
        assert!(
            upgraded.starts_with(if allowed { "HTTP/1.1 101 " } else { "HTTP/1.1 403 " }),
            "{host}: {upgraded}"
        );
        for (path, guarded) in [("/", true), ("/metrics", true), ("/endpoints", true), ("/health", false)] {
            let response = exchange(server.address, format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let wanted = if allowed || !guarded { "HTTP/1.1 200 " } else { "HTTP/1.1 403 " };
            assert!(response.starts_with(wanted), "{path} {host}: {response}");
            assert_eq!(response.contains("Host header are not allowed"), !allowed && guarded, "{response}");
        }
    }
    let without = exchange(server.address, "GET / HTTP/1.0\r\n\r\n");
    assert!(without.starts_with("HTTP/1.1 403 "), "{without}");
}

#[test]
fn subprotocol_star_accepts_the_first_offer() {
    let subprotocols = vec!["chat.v2".into(), "*".into()];
    let server = TestServer::with(Config { subprotocols, ..config() });
    for (offers, chosen) in
        [("a, b", Some("a")), ("a, chat.v2", Some("chat.v2")), ("not a token, b", Some("b")), ("", None)]
    {
        let head = response_head(&server, &request("/", &[("Sec-WebSocket-Protocol", offers)]));
        let line = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!((head.starts_with("HTTP/1.1 101 "), line), (true, chosen), "{offers}: {head}");
    }
}

fn response_head(server: &TestServer, request: &str) -> String {
    let mut client = Client::connect(server.address);
    client.send(request);
    client.read_head()
}
