//! tokio-tungstenite with `forward`, as its echo example has it: replies to a burst gather until no more message is there.

use futures_util::{StreamExt, TryStreamExt, future};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    peers::ready(listener.local_addr()?);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let Ok(websocket) = tokio_tungstenite::accept_async(stream).await else { return };
            let (write, read) = websocket.split();
            let messages = read.try_filter(|message| future::ready(message.is_text() || message.is_binary()));
            let _ = messages.forward(write).await;
        });
    }
}
