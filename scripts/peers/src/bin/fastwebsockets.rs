//! Echo server with fastwebsockets on tokio, after the echo example of that crate, with a handshake of its
//! own.
//!
//! Usage: fastwebsockets [--tls CERT KEY]

use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket, WebSocketError};
use peers::{Serve, Stream};

struct Echo;

impl Serve for Echo {
    async fn serve(stream: impl Stream) {
        let _ = echo(stream).await;
    }
}

async fn echo(mut stream: impl Stream) -> Result<(), WebSocketError> {
    peers::upgrade(&mut stream).await?;
    let mut websocket = WebSocket::after_handshake(stream, Role::Server);
    websocket.set_auto_close(true);
    websocket.set_auto_pong(true);
    let mut websocket = FragmentCollector::new(websocket);
    loop {
        let frame = websocket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => websocket.write_frame(frame).await?,
            _ => {}
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    peers::run::<Echo>().await
}
