//! The same test over plain TCP and over TLS.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ws_echo::metrics::snapshot::Snapshot;
use ws_echo::{Config, Listener, Routes};

use crate::harness::{Client, TestServer, config};
use crate::tls_server::{Files, connect};

/// Makes two tests of each function that takes a [`Transport`]: `plain::NAME` and `over_tls::NAME`.
macro_rules! both_transports {
    ($($test:ident),+ $(,)?) => {
        mod plain {
            $(#[test] fn $test() { super::$test($crate::transports::Transport::Plain); })+
        }
        mod over_tls {
            $(#[test] fn $test() { super::$test($crate::transports::Transport::Tls); })+
        }
    };
}
pub(crate) use both_transports;

/// What carries the bytes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Plain,
    Tls,
}

impl Transport {
    /// Starts a server with the standard configuration.
    pub fn start(self) -> TransportServer {
        self.with(config())
    }

    pub fn with(self, config: Config) -> TransportServer {
        self.with_routes(config, Routes::standard())
    }

    pub fn with_routes(self, config: Config, routes: Routes) -> TransportServer {
        self.on(|_| {}, config, routes)
    }

    /// Starts a server whose listening socket the function has prepared.
    pub fn on(self, prepare: impl FnOnce(&TcpListener), config: Config, routes: Routes) -> TransportServer {
        let (listener, client): (Box<dyn FnOnce(TcpListener) -> Listener>, _) = match self {
            Self::Plain => (Box::new(Listener::from), None),
            Self::Tls => {
                let files = Files::new();
                let certificate = files.load();
                (Box::new(|socket| Listener::secure(socket, certificate)), Some(files.client(&[&TLS13])))
            }
        };
        let prepared = |socket: TcpListener| {
            prepare(&socket);
            listener(socket)
        };
        TransportServer { server: TestServer::on(prepared, config, routes), client }
    }
}

/// A server on one transport, and the clients for it.
pub struct TransportServer {
    pub server: TestServer,
    /// The configuration of clients that use TLS.
    client: Option<Arc<ClientConfig>>,
}

/// A client on either transport.
pub type AnyClient = Client<Box<dyn ClientStream>>;

impl TransportServer {
    /// Opens a session.
    pub fn open(&self, path: &str) -> AnyClient {
        let stream: Box<dyn ClientStream> = match &self.client {
            None => Box::new(self.server.connect().stream),
            Some(client) => Box::new(connect(self.server.address, client).stream),
        };
        Client { stream }.open(path)
    }

    /// Stops the server and returns what it counted.
    pub fn finish(self) -> Snapshot {
        self.server.finish().totals
    }
}

impl AnyClient {
    pub fn end_sending(&mut self) {
        self.stream.end_sending();
    }
}

/// The client's end of a connection.
pub trait ClientStream: Read + Write + Send {
    /// The TCP socket below.
    fn socket(&self) -> &TcpStream;

    /// Ends the sending direction in the way of the transport.
    fn end_sending(&mut self);
}

impl ClientStream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }

    fn end_sending(&mut self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

impl ClientStream for StreamOwned<ClientConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }

    fn end_sending(&mut self) {
        self.conn.send_close_notify();
        self.flush().unwrap();
        self.sock.shutdown(Shutdown::Write).unwrap();
    }
}
