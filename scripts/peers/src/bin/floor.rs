//! TCP echo server without WebSocket: one thread for each connection reads bytes and writes them back. Load
//! it with a `tcp://` URL.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

/// Bytes in one read: a burst of small messages, or a part of a large one.
const BUFFER: usize = 64 << 10;

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    peers::ready(listener.local_addr()?, false);
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        thread::spawn(move || {
            let mut buffer = vec![0; BUFFER];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..length]).is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}
