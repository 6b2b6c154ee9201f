//! Servers that echo correctly, or wrongly in one way each.

use std::{
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tungstenite::{Message, WebSocket, accept};

/// Longest read of a server.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// A server on a free port. Dropping it stops it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) messages: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server that calls `serve` with every accepted socket and its number, each on its own thread.
    pub(crate) fn raw(serve: impl Fn(TcpStream, u64, &AtomicU64) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        // The queue of 128 connections is full if a busy machine runs the acceptor late: SYNs are sent again
        // then.
        socket2::SockRef::from(&listener).listen(1024).expect("a longer queue");
        Self::on(listener, serve)
    }

    /// Starts a server like [`Server::raw`] on `listener`.
    pub(crate) fn on(
        listener: TcpListener,
        serve: impl Fn(TcpStream, u64, &AtomicU64) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("a local address");
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

    /// Starts a server that sends what `replies` returns for each message. Its first argument is the number
    /// of the message on its connection.
    pub(crate) fn replying(replies: impl Fn(u64, Message) -> Vec<Message> + Send + Sync + 'static) -> Self {
        Self::replying_on(TcpListener::bind("127.0.0.1:0").expect("a free port"), replies)
    }

    fn replying_on(
        listener: TcpListener,
        replies: impl Fn(u64, Message) -> Vec<Message> + Send + Sync + 'static,
    ) -> Self {
        Self::on(listener, move |stream, _, messages| {
            let Ok(mut websocket) = accept(stream) else { return };
            let mut number = 0;
            while let Ok(message) = websocket.read() {
                if !(message.is_text() || message.is_binary()) {
                    continue;
                }
                messages.fetch_add(1, Ordering::Relaxed);
                // In one write: a second reply could otherwise arrive after the end of the run.
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

    /// Starts a server that echoes.
    pub(crate) fn echo() -> Self {
        Self::replying(|_, message| vec![message])
    }

    /// Starts a server that echoes, on `listener`.
    pub(crate) fn echo_on(listener: TcpListener) -> Self {
        Self::replying_on(listener, |_, message| vec![message])
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/echo", self.address)
    }

    pub(crate) fn counted(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }
}

/// A listener that accepts nothing and whose queue is full: it does not answer a SYN.
pub(crate) struct FullListener {
    pub(crate) listener: socket2::Socket,
    /// The connections that fill the queue.
    queued: Vec<TcpStream>,
}

impl FullListener {
    /// Listens on `address`.
    pub(crate) fn new(address: &str, port: u16) -> Self {
        use socket2::{Domain, Socket, Type};
        let address = SocketAddr::new(address.parse().unwrap(), port);
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queued.push(stream);
            assert!(queued.len() < 10, "the queue of the listener has no end");
        }
        Self { listener, queued }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap().as_socket().unwrap()
    }

    /// Accepts the connections in the queue, so that a SYN is answered again. Returns the listener.
    pub(crate) fn make_room(self) -> TcpListener {
        for _ in &self.queued {
            drop(self.listener.accept());
        }
        self.listener.into()
    }
}

/// Reads a request head up to the empty line, or to the end of the stream.
pub(crate) fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Completes the closing handshake.
fn finish(mut websocket: WebSocket<TcpStream>) {
    while websocket.flush().is_ok() && websocket.read().is_ok() {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Another connection ends the blocking accept.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().expect("the acceptor does not panic");
        }
    }
}
