//! A server in this process, and a client that sends and receives raw bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ws_echo::Routes;
use ws_echo::{Config, Listener, Server, ShutdownSignal, Summary, listen};

/// Longest wait of a test for anything. It is reached only when something is broken.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// A key whose `Sec-WebSocket-Accept` value is known: `rE91AJhfC+6JdVcVXOGJEADEJdQ=`.
pub const KEY: &str = "f7cb4ezEAl6C3wRaU6JORA==";

/// A server on a free port, which stops on drop.
pub struct TestServer {
    pub address: SocketAddr,
    pub stop: ShutdownSignal,
    thread: Option<JoinHandle<Summary>>,
}

/// Returns the default configuration with few workers.
pub fn config() -> Config {
    Config { workers: 2, connections: 8, waiting: 8, ..Config::default() }
}

impl TestServer {
    pub fn start() -> Self {
        Self::with(config())
    }

    pub fn with(config: Config) -> Self {
        Self::with_routes(config, Routes::standard())
    }

    pub fn with_routes(config: Config, routes: Routes) -> Self {
        Self::on(Listener::from, config, routes)
    }

    /// Starts a server on the listener that the function makes of a bound socket.
    pub fn on(listener: impl FnOnce(TcpListener) -> Listener, config: Config, routes: Routes) -> Self {
        let socket = listen("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let listener = listener(socket);
        let stop = ShutdownSignal::new();
        let seen = stop.clone();
        let server = Server::new(listener, config).with_routes(routes);
        let thread = thread::spawn(move || server.run(&seen).unwrap());
        Self { address, stop, thread: Some(thread) }
    }

    /// Connects a client, which has sent nothing.
    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Opens a session.
    pub fn open(&self, path: &str) -> Client {
        self.connect().open(path)
    }

    /// Requests the shutdown and waits until the server has stopped.
    pub fn finish(mut self) -> Summary {
        self.stop.request();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            let finished = thread.join();
            assert!(finished.is_ok() || thread::panicking(), "the server panicked");
        }
    }
}

/// Returns a complete handshake for a path.
pub fn upgrade(path: &str) -> String {
    request(path, &[])
}

/// Returns a handshake with more header fields. A field replaces the usual one of its name; an empty value
/// removes it.
pub fn request(path: &str, fields: &[(&str, &str)]) -> String {
    let usual = [
        ("Host", "localhost"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    let kept = usual.iter().filter(|(name, _)| fields.iter().all(|(other, _)| other != name));
    let lines: String =
        kept.chain(fields).filter(|(_, v)| !v.is_empty()).map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    format!("GET {path} HTTP/1.1\r\n{lines}\r\n")
}

/// A frame as it was received.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(first: u8, payload: impl AsRef<[u8]>) -> Self {
        Self { first, payload: payload.as_ref().to_vec() }
    }

    /// Returns a Close frame with a code and a reason.
    pub fn close(code: u16, reason: &str) -> Self {
        Self::new(0x88, [&code.to_be_bytes(), reason.as_bytes()].concat())
    }

    /// Returns the close code of a Close frame.
    pub fn code(&self) -> u16 {
        assert_eq!(self.first, 0x88, "not a Close: {self:?}");
        u16::from_be_bytes([self.payload[0], self.payload[1]])
    }
}

/// Returns a masked frame as a client sends it.
pub fn masked(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    masked_with(first, payload.as_ref(), [0x37, 0xfa, 0x21, 0x3d])
}

/// Returns a frame with this mask.
pub fn masked_with(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        n @ 0..126 => bytes.push(0x80 | u8::try_from(n).unwrap()),
        n @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(n).unwrap().to_be_bytes());
        }
        n => {
            bytes.push(0x80 | 127);
            bytes.extend((n as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// Returns a whole text message as a client sends it.
pub fn text(payload: &str) -> Vec<u8> {
    masked(0x81, payload)
}

/// A client that sends and receives raw bytes. Each of its waits is bounded by [`TEST_TIMEOUT`].
pub struct Client<S = TcpStream> {
    pub stream: S,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, TEST_TIMEOUT).unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TEST_TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    pub fn end_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

impl<S: Read + Write> Client<S> {
    /// Sends a handshake and reads its 101.
    pub fn open(mut self, path: &str) -> Self {
        self.send(upgrade(path));
        let head = self.read_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}{}", String::from_utf8_lossy(&self.read_rest()));
        self
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Reads a response up to its empty line.
    pub fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            let n = self.stream.read(&mut byte).unwrap();
            assert!(n == 1, "the response ended: {}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    /// Reads one frame, which must not be masked (RFC 6455, 5.1).
    pub fn read_frame(&mut self) -> Frame {
        let [first, length] = self.read_array();
        assert!(length & 0x80 == 0, "a masked frame from the server");
        let length = match length {
            126 => u64::from(u16::from_be_bytes(self.read_array())),
            127 => u64::from_be_bytes(self.read_array()),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).unwrap();
        Frame { first, payload }
    }

    /// Reads a whole text message.
    pub fn read_text(&mut self) -> String {
        let frame = self.read_frame();
        assert_eq!(frame.first, 0x81, "not a text: {frame:?}");
        String::from_utf8(frame.payload).unwrap()
    }

    /// Reads to the end of the stream.
    pub fn read_rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        rest
    }

    /// Checks that the server ends the stream without another byte.
    pub fn expect_end(&mut self) {
        let rest = self.read_rest();
        assert!(rest.is_empty(), "{} bytes more: {:?}", rest.len(), String::from_utf8_lossy(&rest));
    }

    /// Checks that the connection ends, by an end of stream or a reset.
    pub fn expect_gone(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(e) => {
                    let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::UnexpectedEof];
                    assert!(gone.contains(&e.kind()), "the connection has not ended: {e}");
                    return;
                }
            }
        }
    }

    /// Performs the closing handshake, started by the client with 1000.
    pub fn close(mut self) {
        self.send(masked(0x88, 1000_u16.to_be_bytes()));
        assert_eq!(self.read_frame(), Frame::close(1000, ""));
        self.expect_end();
    }

    fn read_array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }
}

/// Sends a plain request and reads the whole response.
pub fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut client = Client::connect(address);
    client.send(request);
    String::from_utf8(client.read_rest()).unwrap()
}

/// Waits until the condition holds. Panics after [`TEST_TIMEOUT`].
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Returns a value of `/metrics`, which the server updates once a tick.
pub fn metric(address: SocketAddr, name: &str) -> u64 {
    let response = exchange(address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let line =
        response.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {name} in {response}")).rsplit(' ').next().unwrap().parse().unwrap()
}
