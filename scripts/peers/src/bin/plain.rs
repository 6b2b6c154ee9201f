//! Echo server with tungstenite, after the examples of that crate: one thread for each connection, default
//! buffers, one `send` for each message.

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
            // Sends the reply to a Close frame.
            let _ = websocket.flush();
        });
    }
    Ok(())
}
