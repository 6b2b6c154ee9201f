//! tungstenite's plain loop, as its examples have it: a thread a connection, default buffers, `send` for every message.

use std::{net::TcpListener, thread};

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    peers::ready(listener.local_addr()?);
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        thread::spawn(move || {
            let Ok(mut websocket) = tungstenite::accept(stream) else { return };
            while let Ok(message) = websocket.read() {
                if (message.is_text() || message.is_binary()) && websocket.send(message).is_err() {
                    return;
                }
            }
            // The answer to a Close is still to be sent.
            let _ = websocket.flush();
        });
    }
    Ok(())
}
