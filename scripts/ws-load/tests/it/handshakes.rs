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
    let mut websocket = WebSocket::from_raw_socket(stream, Role::Server, Some(WebSocketConfig::default()));
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
