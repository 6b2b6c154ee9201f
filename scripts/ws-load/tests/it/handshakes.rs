//! The WebSocket handshake: which responses are taken.

use crate::{
    runs::ws_load,
    test_servers::{Server, read_head},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};
use tungstenite::{
    WebSocket,
    handshake::derive_accept_key,
    protocol::{Role, WebSocketConfig},
};

/// Reads a request, and returns the value of its `Sec-WebSocket-Accept`.
fn accept_key(stream: &mut TcpStream) -> String {
    let head = read_head(stream);
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
    derive_accept_key(key.as_bytes())
}

/// Echoes text until the peer closes.
fn echo(stream: TcpStream) {
    echo_with(WebSocket::from_raw_socket(stream, Role::Server, Some(WebSocketConfig::default())));
}

fn echo_with(mut websocket: WebSocket<TcpStream>) {
    while let Ok(message) = websocket.read() {
        if message.is_text() && websocket.send(message).is_err() {
            return;
        }
    }
}

/// Starts a server whose 101 has these lines besides `Sec-WebSocket-Accept`.
fn switching_with(lines: &'static str) -> Server {
    Server::raw(move |mut stream, _, _| {
        let key = accept_key(&mut stream);
        let head = format!("HTTP/1.1 101 x\r\n{lines}Sec-WebSocket-Accept: {key}\r\n\r\n");
        if stream.write_all(head.as_bytes()).is_ok() {
            echo(stream);
        }
    })
}

#[test]
fn handshake_takes_lists_of_tokens_in_connection_and_upgrade() {
    for lines in [
        "Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n",
        "connection: keep-alive\r\nconnection: UPGRADE\r\nupgrade: h2c, WebSocket\r\n",
    ] {
        let run = ws_load(&switching_with(lines).url(), &["-c", "2", "-n", "20"]);
        assert_eq!((run.code, run.count("replies")), (Some(0), 20), "{lines}: {run:?}");
    }
    for (lines, words) in [
        ("Connection: keep-alive\r\nUpgrade: websocket\r\n", "violates RFC 6455"),
        ("Connection: upgraded\r\nUpgrade: websocket\r\n", "violates RFC 6455"),
        ("Connection: upgrade\r\nUpgrade: h2c\r\n", "violates RFC 6455"),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: x\r\n", "violates RFC 6455"),
    ] {
        let run = ws_load(&switching_with(lines).url(), &["-c", "2", "-n", "20"]);
        assert_eq!(run.code, Some(1), "{lines}: {run:?}");
        assert!(run.stderr.contains(words), "{lines}: {run:?}");
    }
}

#[test]
fn handshake_takes_a_response_in_single_bytes() {
    let server = Server::raw(|mut stream, _, _| {
        let key = accept_key(&mut stream);
        let cookies = format!("Set-Cookie: a={}\r\n", "x".repeat(80)).repeat(3);
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\n{cookies}Upgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {key}\r\n\r\n"
        );
        for byte in head.as_bytes() {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            // Long enough for the client to read the byte alone.
            std::thread::sleep(Duration::from_micros(300));
        }
        echo(stream);
    });
    for options in [&[][..], &["--deflate"]] {
        let run = ws_load(&server.url(), &[&["-c", "2", "-n", "20"][..], options].concat());
        assert_eq!((run.code, run.count("replies")), (Some(0), 20), "{run:?}");
    }
}

#[test]
fn handshake_fails_if_the_response_is_not_http() {
    for bytes in [&b"SSH-2.0-OpenSSH_9\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x46"] {
        let server = Server::raw(move |mut stream, _, _| {
            read_head(&mut stream);
            let _ = stream.write_all(bytes);
            // The client ends the connection.
            let _ = stream.read(&mut [0]);
        });
        let run = ws_load(&server.url(), &["-c", "1"]);
        assert!(run.code == Some(1) && run.stderr.contains("is not HTTP"), "{run:?}");
    }
}

#[test]
fn refusal_shows_location_retry_after_and_the_first_line_of_the_body() {
    for (response, words) in [
        (
            "HTTP/1.1 301 Moved\r\nLocation: wss://elsewhere.example/x\r\nContent-Length: 0\r\n\r\n",
            "HTTP 301 Moved Permanently (Location: wss://elsewhere.example/x); use that URL, or follow it \
             with --follow 1",
        ),
        (
            "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\nfull\nmore",
            "HTTP 503 Service Unavailable (Retry-After: 7; \"full\"); the server is at capacity",
        ),
        (
            "HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n19\r\n\
             this port \"speaks\" TLS\x1b\n\r\n0\r\n\r\n",
            "HTTP 400 Bad Request (\"this port \"speaks\" TLS\\u{1b}\")",
        ),
        (
            "HTTP/1.1 403 No\r\nContent-Type: text/html\r\n\r\n<html><head><title>Sign in</title>",
            "HTTP 403 Forbidden (\"Sign in\"); see --header and --origin",
        ),
    ] {
        let server = Server::raw(move |mut stream, _, _| {
            read_head(&mut stream);
            let (head, body) = response.split_once("\r\n\r\n").unwrap();
            // The body may arrive after the head.
            let _ = stream.write_all(format!("{head}\r\n\r\n").as_bytes());
            std::thread::sleep(Duration::from_millis(20));
            let _ = stream.write_all(body.as_bytes());
        });
        let run = ws_load(&server.url(), &["-c", "2"]);
        assert!(run.code == Some(1) && run.stderr.contains(words), "{words}: {run:?}");
    }
}

#[test]
fn redirects_are_followed_before_the_run() {
    let end = Server::raw(|mut stream, _, _| {
        let key = accept_key_unless_authorized(&mut stream);
        let Some(key) = key else { return };
        let head = format!(
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {key}\r\n\r\n"
        );
        if stream.write_all(head.as_bytes()).is_ok() {
            echo(stream);
        }
    });
    let location = format!("http://{}/end", end.address);
    let first = Server::raw(move |mut stream, number, _| {
        read_head(&mut stream);
        let location = if number == 0 { "/second" } else { location.as_str() };
        let _ = write!(stream, "HTTP/1.1 307 x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    });
    let url = format!("ws://user:secret@{}/first", first.address);
    let run = ws_load(&url, &["-c", "3", "-n", "30", "--follow", "2", "-H", "Cookie: a=b"]);
    assert_eq!((run.code, run.count("replies"), run.count("attempted")), (Some(0), 30, 3), "{run:?}");
    assert_eq!(run.json["url"], format!("ws://{}/end", end.address), "{run:?}");
    let from = format!("ws://{0}/first, ws://{0}/second", first.address);
    assert_eq!(run.json["options"]["redirected from"], from, "{run:?}");
}

/// Reads a request, and returns the value of its `Sec-WebSocket-Accept`. `None` if the request has what only
/// the first server may see.
fn accept_key_unless_authorized(stream: &mut TcpStream) -> Option<String> {
    let head = read_head(stream);
    let is_leak = ["authorization", "cookie"].iter().any(|name| head.to_lowercase().contains(name));
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
    (!is_leak).then(|| derive_accept_key(key.as_bytes()))
}

#[test]
fn redirects_beyond_the_limit_and_to_invalid_urls_are_reported() {
    let server = Server::raw(|mut stream, _, _| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 302 x\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
    });
    let run = ws_load(&server.url(), &["-c", "1", "--follow", "3"]);
    assert!(run.code == Some(1) && run.stderr.contains("HTTP 302 Found (Location: /again)"), "{run:?}");
    let server = Server::raw(|mut stream, _, _| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 302 x\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n");
    });
    let run = ws_load(&server.url(), &["-c", "1", "--follow", "3"]);
    assert!(run.code == Some(1) && run.stderr.contains("cannot be followed: invalid URL"), "{run:?}");
}

#[test]
fn refusal_without_the_promised_body_fails_with_its_status() {
    let server = Server::raw(|mut stream, _, _| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 50\r\n\r\nhalf");
        // The client ends the connection.
        let _ = stream.read(&mut [0]);
    });
    let run = ws_load(&server.url(), &["-c", "2", "--connect-timeout", "1m"]);
    assert!(run.stderr.contains("HTTP 404 Not Found (\"half\"); check the path"), "{run:?}");
}

#[test]
fn refusal_of_some_connections_is_shown_in_the_summary() {
    let server = Server::raw(|mut stream, number, _| {
        if number % 2 == 1 {
            read_head(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 503 x\r\nContent-Length: 8\r\n\r\nno room\n");
        } else if let Ok(websocket) = tungstenite::accept(stream) {
            echo_with(websocket);
        }
    });
    let run = ws_load(&server.url(), &["-c", "4", "-n", "8"]);
    assert_eq!((run.code, run.count("failed")), (Some(1), 2), "{run:?}");
    assert!(run.stdout.contains("2 × HTTP 503 Service Unavailable (\"no room\")"), "{run:?}");
    assert_eq!(run.json["reasons"]["HTTP 503 Service Unavailable"], 2, "{run:?}");
}
