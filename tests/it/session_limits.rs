//! Limits of a session: time for a message, time without one, age; and connections of one address.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use rustls::version::TLS13;
use socket2::{Domain, Socket, Type};

use crate::harness::{Client, Frame, TEST_TIMEOUT, TestServer, config, eventually, masked, text, upgrade};
use crate::tls_server::{Files, connect};
use crate::transports::{Transport, both_transports};
use tungstenite::Message;
use ws_echo::{Config, Endpoint, Listener, Next, Routes, WebSocketSession};

both_transports! {
    message_that_trickles_closes_with_1008_and_frees_the_worker,
    message_timeout_counts_each_message_alone_and_only_time_in_which_the_server_reads,
    idle_session_closes_with_1001_although_pongs_come,
    idle_timeout_is_restarted_by_messages_and_by_the_bytes_of_a_message,
    session_closes_with_1001_at_its_maximum_age,
}

const MESSAGE_TIMEOUT: &str = "message timeout: a message was not complete in time";

const SHORT: Duration = Duration::from_millis(500);

/// Time between two bytes of a slow client, not a wait for anything.
const PACE: Duration = Duration::from_millis(50);

/// Sends one byte after another until the server sends a Close, which is returned.
fn trickle<S: Read + Write>(
    client: &mut Client<S>,
    bytes: &[u8],
    mut send: impl FnMut(&mut S, u8),
    set_timeout: impl Fn(&S, Duration),
) -> Frame {
    let mut first = [0];
    for byte in bytes {
        send(&mut client.stream, *byte);
        set_timeout(&client.stream, PACE);
        if client.stream.read(&mut first).is_ok() {
            break;
        }
    }
    set_timeout(&client.stream, TEST_TIMEOUT);
    let mut length = [0];
    client.stream.read_exact(&mut length).unwrap();
    let mut payload = vec![0; usize::from(length[0])];
    client.stream.read_exact(&mut payload).unwrap();
    Frame::new(first[0], payload)
}

fn message_that_trickles_closes_with_1008_and_frees_the_worker(transport: Transport) {
    let config = Config { connections: 1, message_timeout: SHORT, close_timeout: SHORT, ..config() };
    let server = transport.with(config);
    let mut client = server.open("/echo");
    let since = Instant::now();
    let close = trickle(
        &mut client,
        &masked(0x82, [7; 120]),
        |stream, byte| stream.write_all(&[byte]).unwrap(),
        |stream, timeout| stream.socket().set_read_timeout(Some(timeout)).unwrap(),
    );
    let took = since.elapsed();
    assert_eq!(close, Frame::close(1008, MESSAGE_TIMEOUT));
    assert!(took >= SHORT && took < Duration::from_secs(4), "after {took:?}");
    // The client does not finish its message, so it cannot reply.
    client.expect_gone();
    server.open("/echo").close();
    let totals = server.finish();
    assert_eq!((totals.closed[&("server", 1008)], totals.aborted), (1, 1), "{totals:?}");
}

#[test]
fn tls_record_that_trickles_closes_with_1008() {
    let files = Files::new();
    let certificate = files.load();
    let config = Config { message_timeout: SHORT, close_timeout: SHORT, ..config() };
    let server = TestServer::on(|socket| Listener::secure(socket, certificate), config, Routes::standard());
    let mut client = connect(server.address, &files.client(&[&TLS13])).open("/echo");
    client.stream.conn.writer().write_all(&text("in one record")).unwrap();
    let mut record = Vec::new();
    client.stream.conn.write_tls(&mut record).unwrap();
    let close = trickle(
        &mut client,
        &record,
        |stream, byte| stream.sock.write_all(&[byte]).unwrap(),
        |stream, timeout| stream.sock.set_read_timeout(Some(timeout)).unwrap(),
    );
    assert_eq!(close, Frame::close(1008, MESSAGE_TIMEOUT));
    client.expect_gone();
}

/// Echoes each message late, and reads nothing meanwhile.
struct Busy(Option<Message>);

impl Endpoint for Busy {
    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next {
        self.0 = Some(message);
        session.pause_reading();
        session.wake_at(Instant::now() + 3 * SHORT);
        Next::Continue
    }

    fn on_wake(&mut self, session: &mut WebSocketSession) -> Next {
        self.0.take().into_iter().for_each(|message| session.send(message));
        session.resume_reading();
        Next::Continue
    }
}

fn message_timeout_counts_each_message_alone_and_only_time_in_which_the_server_reads(transport: Transport) {
    let routes = Routes::standard().with("/busy", || Busy(None));
    let server = transport.with_routes(Config { message_timeout: SHORT, ..config() }, routes);
    let mut client = server.open("/echo");
    let message = text("a whole message");
    let (first, second) = message.split_at(9);
    client.send(first);
    let since = Instant::now();
    // A message is unfinished at each moment, but never for long.
    while since.elapsed() < 4 * SHORT {
        thread::sleep(PACE);
        client.send([second, first].concat());
        assert_eq!(client.read_text(), "a whole message");
    }
    client.send(second);
    assert_eq!(client.read_text(), "a whole message");
    client.close();
    // The server does not read before its first reply. The second message can be complete only then.
    let mut client = server.open("/busy");
    client.send([&text("first")[..], first].concat());
    assert_eq!(client.read_text(), "first");
    client.send(second);
    assert_eq!(client.read_text(), "a whole message");
    client.close();
}

fn idle_session_closes_with_1001_although_pongs_come(transport: Transport) {
    let server = transport.with(Config { idle_timeout: SHORT, ping_interval: PACE, ..config() });
    let mut client = server.open("/echo");
    let since = Instant::now();
    let mut pings = 0;
    let close = loop {
        match client.read_frame() {
            frame if frame.first == 0x89 => client.send(masked(0x8a, "")),
            frame => break frame,
        }
        pings += 1;
        assert!(since.elapsed() < TEST_TIMEOUT, "no Close");
    };
    assert_eq!(close, Frame::close(1001, "idle timeout: no message came in time"));
    let took = since.elapsed();
    assert!(took >= SHORT && took < Duration::from_secs(4) && pings > 1, "{pings} Pings, after {took:?}");
    client.send(masked(0x88, 1001_u16.to_be_bytes()));
    client.expect_end();
    let totals = server.finish();
    assert_eq!((totals.closed[&("server", 1001)], totals.clean), (1, 1), "{totals:?}");
}

fn idle_timeout_is_restarted_by_messages_and_by_the_bytes_of_a_message(transport: Transport) {
    let server = transport.with(Config { idle_timeout: SHORT, ..config() });
    let mut client = server.open("/echo");
    for _ in 0..10 {
        thread::sleep(3 * PACE);
        client.send(text("alive"));
        assert_eq!(client.read_text(), "alive");
    }
    let slow = text("a message that takes some time");
    for byte in slow {
        thread::sleep(PACE);
        client.send([byte]);
    }
    assert_eq!(client.read_text(), "a message that takes some time");
    client.close();
}

fn session_closes_with_1001_at_its_maximum_age(transport: Transport) {
    let server = transport.with(Config { max_session_age: 2 * SHORT, ..config() });
    let mut client = server.open("/echo");
    let since = Instant::now();
    let close = loop {
        client.send(text("busy"));
        match client.read_frame() {
            frame if frame.first == 0x88 => break frame,
            frame => assert_eq!(frame, Frame::new(0x81, "busy")),
        }
        thread::sleep(PACE / 5);
        assert!(since.elapsed() < TEST_TIMEOUT, "no Close");
    };
    assert_eq!(close, Frame::close(1001, "maximum session age reached"));
    let took = since.elapsed();
    assert!(took >= 2 * SHORT && took < Duration::from_secs(5), "after {took:?}");
    client.send(masked(0x88, 1001_u16.to_be_bytes()));
    client.expect_end();
    let totals = server.finish();
    assert_eq!((totals.closed[&("server", 1001)], totals.clean), (1, 1), "{totals:?}");
}

#[test]
fn session_limits_are_off_by_default_except_for_messages() {
    let Config { message_timeout, idle_timeout, max_session_age, max_per_ip, .. } = Config::default();
    assert_eq!(message_timeout, Duration::from_mins(1));
    assert_eq!((idle_timeout, max_session_age, max_per_ip), (Duration::ZERO, Duration::ZERO, None));
}

/// Connects from another address of the loopback network.
pub fn connect_from(server: SocketAddr, address: Ipv4Addr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket.connect_timeout(&server.into(), TEST_TIMEOUT).unwrap();
    socket.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    Client { stream: socket.into() }
}

#[test]
fn connections_over_the_limit_of_an_address_get_429() {
    let server = TestServer::with(Config { max_per_ip: Some(2), ..config() });
    let (one, other) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
    let connect_from = |server: &TestServer, address| {
        let mut client = connect_from(server.address, address);
        client.send(upgrade("/echo"));
        client
    };
    let is_open = |client: &mut Client| client.read_head().starts_with("HTTP/1.1 101 ");
    let mut first = connect_from(&server, one);
    let mut second = connect_from(&server, one);
    assert!(is_open(&mut first) && is_open(&mut second));
    for _ in 0..3 {
        let mut rejected = connect_from(&server, one);
        let response = String::from_utf8(rejected.read_rest()).unwrap();
        assert!(response.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{response}");
        assert!(response.contains("\r\nRetry-After: 1\r\n"), "{response}");
        assert!(response.contains("too many connections from your address"), "{response}");
    }
    let mut elsewhere = connect_from(&server, other);
    assert!(is_open(&mut elsewhere), "another address has a limit of its own");
    first.close();
    eventually("the place of the first connection is free", || is_open(&mut connect_from(&server, one)));
    second.close();
    let rejected = server.finish().totals.rejected;
    assert!(rejected["address_limit"] >= 3, "{rejected:?}");
}
