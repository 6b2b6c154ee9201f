//! Shutdown: requested once, announced to every peer, complete when the last session has ended.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Frame, TEST_TIMEOUT, TestServer, config, eventually, masked, metric, text, upgrade};
use crate::transports::{Transport, both_transports};
use tungstenite::Message;
use ws_echo::{Config, Endpoint, Next, Routes, WebSocketSession};

both_transports! {
    shutdown_closes_connected_clients_with_1001,
    shutdown_aborts_stalled_clients_at_the_drain_timeout,
    shutdown_can_be_requested_twice,
    shutdown_closes_the_listener,
    shutdown_of_a_flooding_handler_closes_after_a_whole_frame,
    shutdown_close_wins_over_a_later_close_of_the_handler,
    shutdown_does_not_wait_for_peers_that_were_closed_for_an_error,
}

#[test]
fn shutdown_of_an_idle_server_is_immediate() {
    let server = TestServer::start();
    let since = Instant::now();
    let totals = server.finish().totals;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    assert_eq!((totals.accepted, totals.open), (0, 0));
}

fn shutdown_closes_connected_clients_with_1001(transport: Transport) {
    let server = transport.with(Config { connections: 100, ..config() });
    let mut clients: Vec<_> = (0..100).map(|_| server.open("/echo")).collect();
    server.server.stop.request();
    for client in &mut clients {
        assert_eq!(client.read_frame(), Frame::close(1001, "server shutting down"));
        client.send(masked(0x88, 1001_u16.to_be_bytes()));
        client.expect_end();
    }
    drop(clients);
    let totals = server.finish();
    assert_eq!((totals.closed[&("server", 1001)], totals.clean, totals.aborted), (100, 100, 0));
}

#[test]
fn shutdown_interrupts_traffic_between_two_frames() {
    let server = TestServer::with(Config { connections: 21, ..config() });
    let clients: Vec<_> = (0..20)
        .map(|n| {
            let mut client = server.open("/echo");
            let mut feed = client.stream.try_clone().unwrap();
            let size = 1000 * usize::from(n) + 1;
            let message = masked(0x82, vec![n; size]);
            // Bounds what the server has to read before the client's Close: two socket buffers hold half a
            // million of the smallest messages.
            let (request, replies) = sync_channel(200);
            let sender = thread::spawn(move || {
                while request.send(()).is_ok() {
                    feed.write_all(&message).unwrap();
                }
                feed.write_all(&masked(0x88, 1001_u16.to_be_bytes())).unwrap();
            });
            let reader = thread::spawn(move || {
                loop {
                    let frame = client.read_frame();
                    if frame.first == 0x88 {
                        assert_eq!(frame, Frame::close(1001, "server shutting down"));
                        break;
                    }
                    assert!(frame == Frame::new(0x82, vec![n; size]), "a damaged frame");
                    replies.recv().unwrap();
                }
                // Ends the sender.
                drop(replies);
                // Exactly one Close, and nothing behind it.
                client.expect_end();
            });
            (sender, reader)
        })
        .collect();
    eventually("traffic", || metric(server.address, "ws_echo_messages_sent_total") > 200);
    let totals = server.finish().totals;
    for (sender, reader) in clients {
        reader.join().unwrap();
        sender.join().unwrap();
    }
    assert_eq!((totals.closed[&("server", 1001)], totals.clean, totals.aborted), (20, 20, 0), "{totals:?}");
}

#[test]
fn shutdown_rejects_handshaking_and_queued_connections_with_503() {
    let server = TestServer::with(Config { connections: 1, waiting: 5, ..config() });
    let mut handshaking = server.connect();
    handshaking.send("GET / HTTP/1.1\r\nHost:");
    let mut served = server.open("/echo");
    let mut queued = server.connect();
    queued.send(upgrade("/"));
    let mut silent = server.connect();
    eventually("it is queued", || metric(server.address, "ws_echo_connections_waiting") == 1);
    server.stop.request();
    for client in [&mut handshaking, &mut queued, &mut silent] {
        let head = client.read_head();
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        let body = String::from_utf8(client.read_rest()).unwrap();
        assert!(body.contains("shutting down"), "{body}");
    }
    assert_eq!(served.read_frame().code(), 1001);
    drop((handshaking, queued, silent, served));
    let totals = server.finish().totals;
    assert_eq!((totals.closed[&("http", 503)], totals.rejected["stopping"]), (1, 1), "{totals:?}");
    assert_eq!(totals.closed[&("silent", 0)], 1, "{totals:?}");
}

fn shutdown_aborts_stalled_clients_at_the_drain_timeout(transport: Transport) {
    let drain_timeout = Duration::from_millis(500);
    let server = transport.with(Config { drain_timeout, ..config() });
    let idle = server.open("/echo");
    let mut stalled = server.open("/echo");
    stalled.stream.socket().set_nonblocking(true).unwrap();
    let message = masked(0x82, vec![1; 1 << 20]);
    // Until neither side takes any more: the worker blocks in a write.
    let (mut at, mut full_since) = (0, None);
    while full_since.is_none_or(|since: Instant| since.elapsed() < Duration::from_millis(200)) {
        match stalled.stream.write(&message[at..]) {
            Ok(n) if n > 0 => (at, full_since) = ((at + n) % message.len(), None),
            // rustls takes nothing while its buffer is full.
            Ok(_) => full_since = full_since.or(Some(Instant::now())),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                full_since = full_since.or(Some(Instant::now()));
            }
        }
    }
    let since = Instant::now();
    let totals = server.finish();
    let took = since.elapsed();
    assert!(took >= drain_timeout && took < drain_timeout + Duration::from_secs(2), "{took:?}");
    assert_eq!((totals.closed[&("server", 1001)], totals.clean, totals.aborted), (2, 0, 2), "{totals:?}");
    drop((idle, stalled));
}

/// The peers have their Close, and owe no reply (RFC 6455, 7.1.7). They neither reply nor end their side.
fn shutdown_does_not_wait_for_peers_that_were_closed_for_an_error(transport: Transport) {
    let long = Duration::from_mins(1);
    let server = transport.with(Config {
        max_message: 1 << 20,
        memory: Some(256 << 10),
        drain_timeout: long,
        close_timeout: long,
        ..config()
    });
    let errors = [
        (1002, masked(0x83, "a reserved opcode")),
        (1007, masked(0x81, [0xff])),
        (1009, masked(0x82, vec![7; (1 << 20) + 1])),
        (1013, masked(0x82, vec![7; 512 << 10])),
    ];
    let mut clients = errors.map(|(code, bytes)| {
        let mut client = server.open("/echo");
        client.send(bytes);
        // The Close has come and is not read before the stop.
        assert_eq!(client.stream.socket().peek(&mut [0]).unwrap(), 1, "{code}");
        (code, client)
    });
    let since = Instant::now();
    let totals = server.finish();
    assert!(since.elapsed() < long / 4, "the stop took {:?}", since.elapsed());
    for (code, client) in &mut clients {
        assert_eq!(client.read_frame().code(), *code);
        client.expect_end();
        assert_eq!(totals.closed.get(&("server", *code)), Some(&1), "{totals:?}");
    }
}

fn shutdown_can_be_requested_twice(transport: Transport) {
    let server = transport.start();
    let mut client = server.open("/echo");
    assert!(server.server.stop.request());
    assert!(!server.server.stop.request());
    assert_eq!(client.read_frame().code(), 1001);
    client.send(masked(0x88, 1001_u16.to_be_bytes()));
    client.expect_end();
    server.server.stop.request();
    assert_eq!(server.finish().clean, 1);
}

fn shutdown_closes_the_listener(transport: Transport) {
    let server = transport.start();
    let mut client = server.open("/echo");
    server.server.stop.request();
    assert_eq!(client.read_frame().code(), 1001);
    eventually("new connections fail", || TcpStream::connect(server.server.address).is_err());
    client.send(text("ignored after the Close, and not an error"));
    client.send(masked(0x88, 1001_u16.to_be_bytes()));
    client.expect_end();
    assert_eq!(server.finish().clean, 1);
}

#[test]
fn shutdown_leaves_no_thread() {
    let server = TestServer::with(Config { workers: 50, connections: 50, ..config() });
    let name = format!("ws:{}", server.address.port());
    let clients: Vec<_> = (0..10).map(|_| server.open("/echo")).collect();
    // A thread takes its name when it first runs.
    eventually("all threads have their names", || threads_named(&name) >= 50);
    server.stop.request();
    drop(clients);
    server.finish();
    // The threads of the pool end by themselves when the pool has been dropped.
    eventually("all threads have ended", || threads_named(&name) == 0);
}

/// Counts the threads of this process whose name begins so.
fn threads_named(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.starts_with(name)))
        .count()
}

/// Sends without a pause.
struct Flood;

impl Endpoint for Flood {
    fn on_open(&mut self, session: &mut WebSocketSession) -> Next {
        self.on_wake(session)
    }

    fn on_message(&mut self, _: &mut WebSocketSession, _: Message) -> Next {
        Next::Continue
    }

    fn on_wake(&mut self, session: &mut WebSocketSession) -> Next {
        session.send(Message::binary(vec![7; 1000]));
        session.wake_when_sent();
        Next::Continue
    }
}

fn shutdown_of_a_flooding_handler_closes_after_a_whole_frame(transport: Transport) {
    let routes = Routes::standard().with("/flood", || Flood);
    let server = transport.with_routes(config(), routes);
    let mut client = server.open("/flood");
    let mut received = 0;
    let close = loop {
        if received == 1000 {
            server.server.stop.request();
        }
        let frame = client.read_frame();
        if frame.first == 0x88 {
            break frame;
        }
        assert!(frame == Frame::new(0x82, vec![7; 1000]), "a damaged frame");
        received += 1;
    };
    assert_eq!(close, Frame::close(1001, "server shutting down"));
    client.send(masked(0x88, 1001_u16.to_be_bytes()));
    client.expect_end();
    let totals = server.finish();
    assert_eq!((totals.closed[&("server", 1001)], totals.clean), (1, 1), "{totals:?}");
    assert_eq!(totals.traffic.messages_out, received, "only what was sent is counted");
}

fn shutdown_close_wins_over_a_later_close_of_the_handler(transport: Transport) {
    let (ready, wait) = channel();
    let (stopped, seen) = channel();
    let seen = Arc::new(Mutex::new(seen));
    let routes = Routes::standard().with("/late", move || {
        let (ready, seen) = (ready.clone(), Arc::clone(&seen));
        move |session: &mut WebSocketSession, _: Message| {
            ready.send(session.handle()).unwrap();
            // The client has received the supervisor's Close.
            seen.lock().unwrap().recv_timeout(TEST_TIMEOUT).unwrap();
            Next::Close(4000, "too late".to_owned())
        }
    });
    let server = transport.with_routes(config(), routes);
    let mut client = server.open("/late");
    client.send(text("close"));
    wait.recv_timeout(TEST_TIMEOUT).unwrap();
    server.server.stop.request();
    assert_eq!(client.read_frame(), Frame::close(1001, "server shutting down"));
    stopped.send(()).unwrap();
    client.send(masked(0x88, 1001_u16.to_be_bytes()));
    client.expect_end();
    let totals = server.finish();
    assert_eq!(totals.closed.get(&("server", 1001)), Some(&1), "{totals:?}");
}
