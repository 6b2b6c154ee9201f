//! Echo server with tokio-tungstenite and `forward`, after the echo example of that crate. `forward` gathers
//! replies until no more messages are ready.
//!
//! Usage: tokio-forward [--tls CERT KEY]

use futures_util::{StreamExt, TryStreamExt, future};
use peers::{Serve, Stream};

struct Forward;

impl Serve for Forward {
    async fn serve(stream: impl Stream) {
        let Ok(websocket) = tokio_tungstenite::accept_async(stream).await else { return };
        let (write, read) = websocket.split();
        let messages = read.try_filter(|message| future::ready(message.is_text() || message.is_binary()));
        let _ = messages.forward(write).await;
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    peers::run::<Forward>().await
}
