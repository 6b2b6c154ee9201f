//! Echo server with tungstenite, after the examples of that crate: one thread for each connection, default
//! buffers, one `send` for each message.
//!
//! Usage: plain [--tls CERT KEY]

use std::{
    io::{self, Read, Write},
    net::TcpListener,
    thread,
};

use rustls::{ServerConnection, StreamOwned};

fn main() -> io::Result<()> {
    let tls = peers::tls()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    peers::ready(listener.local_addr()?, tls.is_some());
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        let tls = tls.clone();
        thread::spawn(move || match tls.map(ServerConnection::new) {
            None => echo(stream),
            Some(Ok(connection)) => echo(StreamOwned::new(connection, stream)),
            Some(Err(error)) => eprintln!("{error}"),
        });
    }
    Ok(())
}

fn echo(stream: impl Read + Write) {
    let Ok(mut websocket) = tungstenite::accept(stream) else { return };
    while let Ok(message) = websocket.read() {
        if (message.is_text() || message.is_binary()) && websocket.send(message).is_err() {
            return;
        }
    }
    // Sends the reply to a Close frame.
    let _ = websocket.flush();
}
