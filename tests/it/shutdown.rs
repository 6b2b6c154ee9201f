//! Shutdown: requested once, announced to every peer, complete when the last session has ended.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::harness::{
    Client, Frame, TEST_TIMEOUT, TestServer, config, eventually, masked, metric, text, upgrade,
};
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
            let closed = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&closed);
            let sender = thread::spawn(move || {
                while !seen.load(SeqCst) {
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
                }
                closed.store(true, SeqCst);
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
    let long = Duration::from_secs(60);
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

/// What a client that connects around a shutdown gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// 101, and then a complete closing handshake.
    Served,
    /// 503 because all workers and queue places are taken.
    QueueFull,
    /// 503 because the server shuts down.
    ShuttingDown,
    /// The kernel reset the connection: it was in the backlog of the listener when that was closed.
    Reset,
    /// The kernel refused the connection: nothing listens.
    Refused,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Served, Self::QueueFull, Self::ShuttingDown, Self::Reset, Self::Refused];

    /// Connects, and checks that the response is one of these, whole.
    fn of_connection(address: SocketAddr) -> Self {
        // From another address than the server's: a connection to a closed port could otherwise meet itself.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
        let stream = match socket.connect(&address.into()) {
            Ok(()) => TcpStream::from(socket),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Self::Refused,
            // The listener was closed during the TCP handshake.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Self::Reset,
            Err(error) => panic!("cannot connect: {error}"),
        };
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        let mut client = Client { stream };
        match Self::of_request(&mut client) {
            Ok(outcome) => outcome,
            Err(error) if [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()) => {
                Self::Reset
            }
            Err(error) => panic!("no response: {error}"),
        }
    }

    fn of_request(client: &mut Client) -> io::Result<Self> {
        client.stream.write_all(upgrade("/echo").as_bytes())?;
        // An end of stream in place of a response would be found below.
        assert!(client.stream.peek(&mut [0])? > 0, "closed without a response");
        let head = client.read_head();
        if head.starts_with("HTTP/1.1 101 ") {
            client.send(masked(0x88, 1000_u16.to_be_bytes()));
            let code = client.read_frame().code();
            assert!([1000, 1001].contains(&code), "closed with {code}");
            client.expect_end();
            return Ok(Self::Served);
        }
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: "), "{head}");
        let mut body = String::new();
        client.stream.read_to_string(&mut body)?;
        Ok(if body.contains("shutting down") { Self::ShuttingDown } else { Self::QueueFull })
    }
}

/// Part of a shutdown in which a connection began and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StormPhase {
    /// Ended before the shutdown was requested.
    Before,
    /// Neither before nor after.
    During,
    /// Began after the listener was seen closed.
    After,
}

#[test]
fn shutdown_during_a_connection_storm_gives_every_connection_its_outcome() {
    const THREADS: usize = 6;
    const AFTER_CLOSING: usize = 20;
    // Fewer places than clients, so that some are rejected.
    let server = TestServer::with(Config { connections: 2, waiting: 1, ..config() });
    // These keep a worker and thereby the shutdown open until the storm has seen the listener closed.
    let mut holding = server.open("/echo");
    let address = server.address;
    let (requested, listener_closed) = (AtomicBool::new(false), AtomicBool::new(false));
    let (done_before, done_after) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let outcomes = Mutex::new(Vec::new());
    let storm = || {
        while done_after.load(SeqCst) < AFTER_CLOSING {
            let began_after = listener_closed.load(SeqCst);
            let outcome = Outcome::of_connection(address);
            let phase = match (began_after, requested.load(SeqCst)) {
                (true, _) => StormPhase::After,
                (false, true) => StormPhase::During,
                (false, false) => StormPhase::Before,
            };
            outcomes.lock().unwrap().push((phase, outcome));
            match phase {
                StormPhase::Before => drop(done_before.fetch_add(1, SeqCst)),
                StormPhase::During if outcome == Outcome::Refused => listener_closed.store(true, SeqCst),
                StormPhase::During => {}
                StormPhase::After => drop(done_after.fetch_add(1, SeqCst)),
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(storm)).collect();
        eventually("a storm", || done_before.load(SeqCst) >= 200);
        requested.store(true, SeqCst);
        server.stop.request();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_eq!(holding.read_frame().code(), 1001);
    holding.send(masked(0x88, 1001_u16.to_be_bytes()));
    holding.expect_end();
    let totals = server.finish().totals;

    let outcomes = outcomes.into_inner().unwrap();
    let count = |wanted_phase, wanted| {
        outcomes.iter().filter(|(phase, outcome)| *phase == wanted_phase && *outcome == wanted).count()
    };
    let table: Vec<_> = [StormPhase::Before, StormPhase::During, StormPhase::After]
        .map(|phase| (phase, Outcome::ALL.map(|outcome| (outcome, count(phase, outcome)))))
        .into();
    let only = |phase, allowed: &[Outcome]| {
        let others = Outcome::ALL.into_iter().filter(|outcome| !allowed.contains(outcome));
        assert_eq!(others.map(|outcome| count(phase, outcome)).sum::<usize>(), 0, "{phase:?}: {table:?}");
    };
    only(StormPhase::Before, &[Outcome::Served, Outcome::QueueFull]);
    only(StormPhase::After, &[Outcome::Refused]);
    for (phase, outcome, least) in [
        (StormPhase::Before, Outcome::Served, 1),
        (StormPhase::Before, Outcome::QueueFull, 1),
        (StormPhase::During, Outcome::Refused, 1),
        (StormPhase::After, Outcome::Refused, AFTER_CLOSING),
    ] {
        assert!(count(phase, outcome) >= least, "{phase:?} {outcome:?}: {table:?}");
    }
    // Both sides count the same, and `holding` besides.
    let all = |wanted| outcomes.iter().filter(|(_, outcome)| *outcome == wanted).count() as u64;
    let rejected = |reason| totals.rejected.get(reason).copied().unwrap_or_default();
    let in_handshake = totals.closed.get(&("http", 503)).copied().unwrap_or_default();
    assert_eq!(totals.clean, all(Outcome::Served) + 1, "{totals:?} {table:?}");
    assert_eq!(rejected("full"), all(Outcome::QueueFull), "{totals:?} {table:?}");
    assert_eq!(rejected("stopping") + in_handshake, all(Outcome::ShuttingDown), "{totals:?} {table:?}");
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
        session.send(&Message::binary(vec![7; 1000]));
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
