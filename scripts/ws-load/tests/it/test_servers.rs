//! Servers that echo well, or badly in one way each, for the load generator to find out.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tungstenite::{Message, WebSocket, accept};

/// No read of a server outlasts a test.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// A server on a free port, stopped when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) messages: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Hands every accepted socket, with its number, to `serve` on a thread of its own.
    pub(crate) fn raw(serve: impl Fn(TcpStream, u64, &AtomicU64) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (stop, messages) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopping, counted, serve) = (Arc::clone(&stop), Arc::clone(&messages), Arc::new(serve));
        let acceptor = thread::spawn(move || {
            for (number, stream) in (0..).zip(listener.incoming()) {
                if stopping.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let _ = stream.set_read_timeout(Some(READ_LIMIT));
                let _ = stream.set_nodelay(true);
                let (serve, counted) = (Arc::clone(&serve), Arc::clone(&counted));
                thread::spawn(move || serve(stream, number, &counted));
            }
        });
        Self { address, messages, stop, acceptor: Some(acceptor) }
    }

    /// Answers the message with the given number (over all its connection's) with what `replies` returns for it.
    pub(crate) fn answering(replies: impl Fn(u64, Message) -> Vec<Message> + Send + Sync + 'static) -> Self {
        Self::raw(move |stream, _, messages| {
            let Ok(mut websocket) = accept(stream) else { return };
            let mut number = 0;
            while let Ok(message) = websocket.read() {
                if !(message.is_text() || message.is_binary()) {
                    continue;
                }
                messages.fetch_add(1, Ordering::Relaxed);
                // In one piece: a reply that nobody waits for would otherwise race with the end of the run.
                let written =
                    replies(number, message).into_iter().try_for_each(|reply| websocket.write(reply));
                if written.and_then(|()| websocket.flush()).is_err() {
                    return;
                }
                number += 1;
            }
            finish(websocket);
        })
    }

    /// Echoes.
    pub(crate) fn echo() -> Self {
        Self::answering(|_, message| vec![message])
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/echo", self.address)
    }

    pub(crate) fn counted(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }
}

/// Sends what the closing handshake still needs.
fn finish(mut websocket: WebSocket<TcpStream>) {
    while websocket.flush().is_ok() && websocket.read().is_ok() {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // A blocked accept is woken by one more connection.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().expect("the acceptor does not panic");
        }
    }
}
