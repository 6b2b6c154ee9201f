//! tokio-tungstenite with `forward`, as its echo example has it: replies to a burst gather until no more message is there.

use futures_util::{StreamExt, TryStreamExt, future};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    peers::accept(|stream| async move {
        let Ok(websocket) = tokio_tungstenite::accept_async(stream).await else { return };
        let (write, read) = websocket.split();
        let messages = read.try_filter(|message| future::ready(message.is_text() || message.is_binary()));
        // How a connection ends is the client's concern.
        let _ = messages.forward(write).await;
    })
    .await
}
