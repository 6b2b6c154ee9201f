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

fn response_head(server: &TestServer, request: &str) -> String {
    let mut client = Client::connect(server.address);
    client.send(request);
    client.read_head()
}
