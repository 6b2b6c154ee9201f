//! Connections to a Unix socket.

use crate::runs::{scratch, ws_load};
use std::{
    fs,
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Mutex},
    thread,
};
use tungstenite::{
    accept_hdr,
    handshake::server::{Request, Response},
};

/// Echoes on `stream`, and records the request line and the host.
fn echo(stream: UnixStream, seen: &Mutex<Vec<String>>) {
    #[allow(clippy::result_large_err, reason = "the signature is tungstenite's")]
    let callback = |request: &Request, response: Response| {
        let host = request.headers()["host"].to_str().unwrap();
        seen.lock().unwrap().push(format!("{} {host}", request.uri()));
        Ok(response)
    };
    let Ok(mut websocket) = accept_hdr(stream, callback) else { return };
    while let Ok(message) = websocket.read() {
        if message.is_text() && websocket.send(message).is_err() {
            return;
        }
    }
}

#[test]
fn unix_socket_is_loaded_with_the_host_and_path_of_the_url() {
    // In the temporary directory, because the path of a socket may have at most 107 bytes.
    let path = std::env::temp_dir().join(format!("ws-load-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&seen);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let recorded = Arc::clone(&recorded);
            thread::spawn(move || echo(stream.unwrap(), &recorded));
        }
    });
    let option = path.to_str().unwrap();
    // More connections than the queue of the listener has places (128).
    let run =
        ws_load("ws://name.invalid/x?y", &["-c", "300", "-n", "600", "--size", "0..70000", "--unix", option]);
    assert_eq!((run.code, run.count("replies"), run.count("closed_clean")), (Some(0), 600, 300), "{run:?}");
    assert_eq!(*seen.lock().unwrap(), vec!["/x?y name.invalid"; 300]);
    let _ = fs::remove_file(&path);
}

#[test]
fn unix_socket_that_does_not_exist_is_reported() {
    let path = scratch("none.sock");
    let run = ws_load("ws://name.invalid/", &["-c", "2", "--unix", path.to_str().unwrap()]);
    assert!(run.code == Some(1) && run.stderr.contains("no socket at the path"), "{run:?}");
    let run = ws_load("ws://name.invalid/", &["--unix", "x", "--source", "127.0.0.1"]);
    assert_eq!(run.code, Some(2), "{run:?}");
}
