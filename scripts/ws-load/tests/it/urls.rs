//! URLs: which request they lead to, and which are refused.

use crate::{
    runs::{Run, ws_load},
    test_servers::{Server, read_head},
};
use std::{
    io::Write,
    sync::{Arc, Mutex},
};

/// Starts a server that records the request heads and answers each with 404.
fn recording() -> (Server, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&heads);
    let server = Server::raw(move |mut stream, _, _| {
        recorded.lock().unwrap().push(read_head(&mut stream));
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    });
    (server, heads)
}

/// Opens one connection to `url`, and returns the request head that the server received.
fn request(url: impl Fn(u16) -> String, options: &[&str]) -> (Run, String) {
    let (server, heads) = recording();
    let url = url(server.address.port());
    let run = ws_load(&url, &[&["-c", "1", "-n", "1"][..], options].concat());
    let head = heads.lock().unwrap().pop();
    let head = head.unwrap_or_else(|| panic!("no request for {url}: {run:?}"));
    (run, head)
}

#[test]
fn url_is_sent_in_its_normal_form() {
    for (rest, line) in [
        ("?t=1", "GET /?t=1 HTTP/1.1"),
        ("", "GET / HTTP/1.1"),
        ("/a%20b?c=%C3%A9", "GET /a%20b?c=%C3%A9 HTTP/1.1"),
        ("/stra\u{df}e \u{56db}", "GET /stra%C3%9Fe%20%E5%9B%9B HTTP/1.1"),
    ] {
        let (_, head) = request(|port| format!("WS://127.0.0.1:{port}{rest}"), &[]);
        assert_eq!(head.lines().next(), Some(line), "{head}");
    }
}

#[test]
fn url_credentials_are_sent_as_basic_and_never_printed() {
    let (run, head) = request(|port| format!("ws://user:se%20cret@127.0.0.1:{port}/x"), &[]);
    assert!(head.contains("\r\nauthorization: Basic dXNlcjpzZSBjcmV0\r\n"), "{head}");
    assert!(!head.contains('@') && !format!("{run:?}").contains("cret"), "{head}{run:?}");
    let header = ["-H", "Authorization: Bearer x"];
    let (_, head) = request(|port| format!("ws://user:secret@127.0.0.1:{port}/x"), &header);
    assert!(head.contains("\r\nauthorization: Bearer x\r\n") && !head.contains("Basic"), "{head}");
}

#[test]
fn url_with_an_international_host_is_sent_in_ascii() {
    let run = ws_load("ws://b\u{fc}cher.invalid/", &["-c", "1", "-n", "1"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("\"xn--bcher-kva.invalid\" has no address"), "{run:?}");
}

#[test]
fn url_that_is_invalid_is_a_usage_error_without_its_credentials() {
    for (url, words) in [
        ("ws://user:secret@127.0.0.1:99999/x", "the port must be a number from 1 to 65535"),
        ("ws://user:secret@127.0.0.1:1/x#y", "a WebSocket URL has no fragment"),
        ("ws://user:secret@/x", "it has no host"),
        ("http://user:secret@127.0.0.1/", "must start with ws:// or wss://"),
    ] {
        let run = ws_load(url, &["-c", "1", "-n", "1"]);
        assert_eq!((run.code, run.stderr.lines().count()), (Some(2), 1), "{url}: {run:?}");
        assert!(run.stderr.contains(words) && !run.stderr.contains("secret"), "{url}: {run:?}");
    }
}
