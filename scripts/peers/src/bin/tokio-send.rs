//! Echo server with tokio-tungstenite: one `send` for each message, as in most programs that use that crate.

use futures_util::{SinkExt, StreamExt};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    peers::accept(|stream| async move {
        let Ok(mut websocket) = tokio_tungstenite::accept_async(stream).await else { return };
        while let Some(Ok(message)) = websocket.next().await {
            if (message.is_text() || message.is_binary()) && websocket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await
}
