//! What a plain HTTP request gets.

use crate::harness::{TestServer, exchange};

fn get(server: &TestServer, path: &str) -> (String, String) {
    let answer = exchange(server.address, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn the_page_is_served_whole_and_loads_nothing_from_elsewhere() {
    let server = TestServer::start();
    let (head, body) = get(&server, "/");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    for part in ["<title>WebSocket Echo Test</title>", "Hello, world!", ">Send Message</button>"] {
        assert!(body.contains(part), "no {part}");
    }
    let policy = head.lines().find(|line| line.starts_with("Content-Security-Policy: ")).unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let kind_of = |name: &str| match name.rsplit_once('.') {
        Some((_, "js")) => Some("text/javascript"),
        Some((_, "css")) => Some("text/css"),
        _ => None,
    };
    let files: Vec<_> = body.split('"').filter_map(|name| kind_of(name).zip(Some(name))).collect();
    assert!(files.len() > 2, "{files:?}");
    for (kind, file) in files {
        let (head, content) = get(&server, &format!("/{file}"));
        assert!(head.contains(&format!("Content-Type: {kind}; charset=utf-8")), "{file}: {head}");
        assert!(!content.contains("http://") && !content.contains("https://"), "{file} names another host");
    }
    assert!(!body.contains("http://") && !body.contains("https://"), "the page names another host");
}

#[test]
fn a_head_request_gets_the_length_and_no_body() {
    let server = TestServer::start();
    let (_, body) = get(&server, "/");
    let answer = exchange(server.address, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn health_and_metrics_are_for_machines() {
    let server = TestServer::start();
    assert_eq!(get(&server, "/health").1, "ok\n");
    let (head, body) = get(&server, "/metrics");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("ws_echo_") && value.parse::<u64>().is_ok(), "{line}");
    }
}
