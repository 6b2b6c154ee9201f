//! tokio-tungstenite, one `send` a message: what most code with it looks like.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    peers::ready(listener.local_addr()?);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let Ok(mut websocket) = tokio_tungstenite::accept_async(stream).await else { return };
            while let Some(Ok(message)) = websocket.next().await {
                if (message.is_text() || message.is_binary()) && websocket.send(message).await.is_err() {
                    return;
                }
            }
        });
    }
}
