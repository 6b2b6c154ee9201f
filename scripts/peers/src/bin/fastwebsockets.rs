//! Echo server with fastwebsockets on tokio, after the echo example of that crate, with a handshake of its
//! own.

use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket, WebSocketError};
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    peers::accept(|stream| async move {
        // ws-load reports how a connection ended.
        let _ = serve(stream).await;
    })
    .await
}

async fn serve(mut stream: TcpStream) -> Result<(), WebSocketError> {
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
