//! Echo server with tokio-tungstenite and `forward`, after the echo example of that crate. `forward` gathers
//! replies until no more messages are ready.

use futures_util::{StreamExt, TryStreamExt, future};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    peers::accept(|stream| async move {
        let Ok(websocket) = tokio_tungstenite::accept_async(stream).await else { return };
        let (write, read) = websocket.split();
        let messages = read.try_filter(|message| future::ready(message.is_text() || message.is_binary()));
        // ws-load reports how a connection ended.
        let _ = messages.forward(write).await;
    })
    .await
}
