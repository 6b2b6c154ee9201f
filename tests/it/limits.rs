//! Limits on peers that do not read or read slowly, and on handlers that panic.

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tungstenite::Message;
use ws_echo::endpoints::echo::echo;
use ws_echo::{Config, Next, Routes, WebSocketSession};

use crate::harness::{TEST_TIMEOUT, config, masked, text};
use crate::transports::{AnyClient, Transport, TransportServer, both_transports};

both_transports! {
    write_timeout_aborts_a_client_that_never_reads_and_no_other,
    write_timeout_spares_a_client_that_reads_slowly,
    write_timeout_aborts_a_client_that_stops_reading,
    handler_panic_closes_its_session_with_1011_and_keeps_the_worker,
}

fn write_timeout_aborts_a_client_that_never_reads_and_no_other(transport: Transport) {
    let server = transport.with(Config { write_timeout: Duration::from_millis(500), ..config() });
    let mut blocked = server.open("/echo");
    let mut other = server.open("/echo");
    let sender = thread::spawn(move || {
        let message = masked(0x82, vec![1; 1 << 20]);
        let since = Instant::now();
        let error = loop {
            match blocked.stream.write_all(&message) {
                Ok(()) => assert!(since.elapsed() < TEST_TIMEOUT, "the server reads without end"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    });
    let mut round_trips = 0;
    while !sender.is_finished() {
        let since = Instant::now();
        other.send(text("tick"));
        assert_eq!(other.read_text(), "tick");
        assert!(since.elapsed() < Duration::from_secs(2), "the other session waited {:?}", since.elapsed());
        round_trips += 1;
    }
    sender.join().unwrap();
    assert!(round_trips > 10, "{round_trips} round trips beside the blocked session");
    other.close();
    let totals = server.finish();
    assert_eq!((totals.closed[&("cut", 1006)], totals.aborted), (1, 1), "{totals:?}");
}

/// Write time-out of the tests with a slow client.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);

/// Size of the send buffer of the server and of the receive buffer of the slow client, in bytes. The kernel doubles
/// it. With buffers this small the server cannot write faster than the client reads.
const SOCKET_BUFFER: usize = 32 << 10;

/// Bytes that the slow client reads at a time, and the time between two reads: a tenth of the write time-out.
const READ_SIZE: usize = 32 << 10;
const READ_INTERVAL: Duration = Duration::from_millis(50);

/// Payload of the message to the slow client: 64 reads, which take more than six write time-outs.
const SLOW_PAYLOAD: usize = 64 * READ_SIZE;

/// A client that reads [`READ_SIZE`] bytes every [`READ_INTERVAL`], in a session whose echo is on its way.
struct SlowClient {
    client: AnyClient,
    /// Receives when the session is over.
    ended: Receiver<()>,
    server: TransportServer,
    next_read: Instant,
}

/// Sends when the session that owns it is over.
struct Watched(Sender<()>);

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl SlowClient {
    fn start(transport: Transport) -> Self {
        let (sender, ended) = channel();
        let routes = Routes::standard().with("/watched", move || {
            let watched = Watched(sender.clone());
            move |session: &mut WebSocketSession, message: Message| {
                let _session_is_open = &watched;
                echo(session, message)
            }
        });
        let config = Config { write_timeout: WRITE_TIMEOUT, ..config() };
        let small_buffer = |socket: &_| SockRef::from(socket).set_send_buffer_size(SOCKET_BUFFER).unwrap();
        let server = transport.on(small_buffer, config, routes);
        let mut client = server.open("/watched");
        SockRef::from(client.stream.socket()).set_recv_buffer_size(SOCKET_BUFFER).unwrap();
        // The server reads a message to its end before it echoes it.
        client.send(masked(0x82, vec![9; SLOW_PAYLOAD]));
        Self { client, ended, server, next_read: Instant::now() }
    }

    /// Waits for the next read and returns how many bytes were read.
    fn read(&mut self) -> usize {
        // The rate of a slow network, not a wait for anything.
        thread::sleep(self.next_read.saturating_duration_since(Instant::now()));
        self.next_read = Instant::now() + READ_INTERVAL;
        let mut buffer = vec![0; READ_SIZE];
        let mut count = 0;
        while count < READ_SIZE {
            match self.client.stream.read(&mut buffer[count..]).unwrap() {
                0 => break,
                n => count += n,
            }
        }
        count
    }
}

fn write_timeout_spares_a_client_that_reads_slowly(transport: Transport) {
    let mut slow = SlowClient::start(transport);
    let since = Instant::now();
    for n in 1..=SLOW_PAYLOAD / READ_SIZE {
        assert_eq!(slow.read(), READ_SIZE, "aborted at read {n}, after {:?}", since.elapsed());
    }
    assert!(since.elapsed() >= 5 * WRITE_TIMEOUT, "only {:?}", since.elapsed());
    // The rest of the frame: its header has 10 bytes.
    slow.client.stream.read_exact(&mut [0; 10]).unwrap();
    assert!(slow.ended.try_recv().is_err(), "the session has ended");
    slow.client.close();
    let totals = slow.server.finish();
    assert_eq!((totals.clean, totals.aborted), (1, 0), "{totals:?}");
}

fn write_timeout_aborts_a_client_that_stops_reading(transport: Transport) {
    let mut slow = SlowClient::start(transport);
    for n in 1..=10 {
        assert_eq!(slow.read(), READ_SIZE, "aborted at read {n}");
    }
    assert!(slow.ended.try_recv().is_err(), "aborted while the client reads");
    let since = Instant::now();
    slow.ended.recv_timeout(TEST_TIMEOUT).expect("never aborted");
    let waited = since.elapsed();
    assert!(waited >= WRITE_TIMEOUT / 2 && waited < 6 * WRITE_TIMEOUT, "after {waited:?}");
    slow.client.expect_gone();
    let totals = slow.server.finish();
    assert_eq!((totals.closed[&("cut", 1006)], totals.aborted, totals.clean), (1, 1, 0), "{totals:?}");
}

fn handler_panic_closes_its_session_with_1011_and_keeps_the_worker(transport: Transport) {
    let mut after_first = false;
    let panics = move |session: &mut WebSocketSession, message: Message| {
        assert!(!std::mem::replace(&mut after_first, true), "caused by a test");
        session.send(message);
        Next::Continue
    };
    let routes = Routes::standard().with("/panic", move || panics);
    let server = transport.with_routes(Config { connections: 2, ..config() }, routes);
    let mut other = server.open("/echo");
    for _ in 0..4 {
        let mut client = server.open("/panic");
        client.send([text("pending reply"), text("one too many")].concat());
        assert_eq!(client.read_text(), "pending reply");
        assert_eq!(client.read_frame().code(), 1011);
        client.expect_end();
    }
    other.send(text("not affected"));
    assert_eq!(other.read_text(), "not affected");
    other.close();
    let totals = server.finish();
    assert_eq!((totals.panics, totals.closed[&("server", 1011)], totals.clean), (4, 4, 1));
}
