//! No WebSocket at all: a thread a connection reads bytes and writes the same bytes. Loaded with a `tcp://` URL.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

/// Large enough for a burst of small messages, and for large ones to take few system calls.
const BUFFER: usize = 64 << 10;

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    peers::ready(listener.local_addr()?);
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
