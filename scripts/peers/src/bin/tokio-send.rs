//! Echo server with tokio-tungstenite: one `send` for each message, as in most programs that use that crate.
//!
//! Usage: tokio-send [--tls CERT KEY]

use futures_util::{SinkExt, StreamExt};
use peers::{Serve, Stream};

struct Send;

impl Serve for Send {
    async fn serve(stream: impl Stream) {
        let Ok(mut websocket) = tokio_tungstenite::accept_async(stream).await else { return };
        while let Some(Ok(message)) = websocket.next().await {
            if (message.is_text() || message.is_binary()) && websocket.send(message).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    peers::run::<Send>().await
}
