//! Responses to plain HTTP requests.

use std::io::Read;

use crate::harness::{TestServer, exchange};

fn get(server: &TestServer, path: &str) -> (String, String) {
    let response = exchange(server.address, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Sends a request with these header fields and returns the head and the body as bytes.
fn request(server: &TestServer, path: &str, fields: &str) -> (String, Vec<u8>) {
    let mut client = server.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
    let mut response = Vec::new();
    client.stream.read_to_end(&mut response).unwrap();
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    (String::from_utf8(response[..end].to_vec()).unwrap(), response[end + 4..].to_vec())
}

/// Returns the value of a header field.
fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {head}"))
}

#[test]
fn page_is_one_document_and_one_script() {
    let server = TestServer::start();
    let (head, body) = get(&server, "/");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    for part in ["<title>WebSocket Echo Test</title>", "Hello, world!", ">Send Message</button>"] {
        assert!(body.contains(part), "no {part}");
    }
    let policy = field(&head, "Content-Security-Policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    let style = body.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    assert!(style.contains(":root"), "{style}");
    assert_eq!(body.matches("<script").count(), 1, "one script");
    assert!(!body.contains("<link rel=\"stylesheet\""), "no style sheet of its own");
    let script = body.split("src=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (head, content) = get(&server, &format!("/{script}"));
    assert_eq!(field(&head, "Content-Type"), "text/javascript; charset=utf-8");
    assert_eq!(field(&head, "Cache-Control"), "public, max-age=31536000, immutable");
    for line in content.lines() {
        assert!(!line.starts_with("import ") && !line.starts_with("export "), "not joined: {line}");
    }
    // Namespaces of SVG are names, and the hint of the URL field is an example.
    let body = body.replace("http://www.w3.org/2000/svg", "").replace("wss://example.org/ws", "");
    assert!(!body.contains("http://") && !body.contains("https://"), "the page names another host");
    assert!(!content.contains("http://") && !content.contains("https://"), "the script names another host");
}

#[test]
fn page_is_compressed_and_not_sent_again() {
    let server = TestServer::start();
    let (head, document) = request(&server, "/", "");
    assert!(!head.contains("Content-Encoding"), "{head}");
    assert_eq!(field(&head, "Cache-Control"), "no-cache");
    let script = String::from_utf8(document.clone()).unwrap();
    let script = script.split("src=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for path in ["/", &format!("/{script}"), "/page.js"] {
        let (plain_head, plain) = request(&server, path, "Accept-Encoding: br, gzip;q=0\r\n");
        assert!(!plain_head.contains("Content-Encoding"), "{plain_head}");
        let (head, compressed) = request(&server, path, "Accept-Encoding: deflate, gzip;q=0.5\r\n");
        assert_eq!((field(&head, "Content-Encoding"), field(&head, "Vary")), ("gzip", "Accept-Encoding"));
        let mut content = Vec::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut content).unwrap();
        assert_eq!(content, plain, "{path}");
        assert!(compressed.len() * 2 < plain.len(), "{path}: {} of {}", compressed.len(), plain.len());
        let tag = field(&head, "ETag");
        assert_eq!(field(&plain_head, "ETag"), tag);
        let (head, body) = request(&server, path, &format!("If-None-Match: \"x\", {tag}\r\n"));
        assert!(head.starts_with("HTTP/1.1 304 ") && body.is_empty(), "{head}");
        assert_eq!(field(&head, "ETag"), tag);
        assert!(request(&server, path, "If-None-Match: W/\"x\"\r\n").0.starts_with("HTTP/1.1 200 "));
    }
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
