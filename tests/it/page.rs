//! Responses to plain HTTP requests.

use crate::harness::{TestServer, exchange};

fn get(server: &TestServer, path: &str) -> (String, String) {
    let response = exchange(server.address, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn page_is_complete_and_loads_nothing_from_other_hosts() {
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
fn head_request_gets_the_length_and_no_body() {
    let server = TestServer::start();
    let (_, body) = get(&server, "/");
    let response = exchange(server.address, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(response.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{response}");
    assert!(response.ends_with("\r\n\r\n"), "{response}");
}

#[test]
fn health_and_metrics_are_machine_readable() {
    let server = TestServer::start();
    assert_eq!(get(&server, "/health").1, "ok\n");
    let (head, body) = get(&server, "/metrics");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let values: Vec<_> = body.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(values.len() > 10, "{body}");
    for line in values {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let known = name.starts_with("ws_echo_") || name.starts_with("process_");
        assert!(known && value.parse::<f64>().is_ok(), "{line}");
    }
}
