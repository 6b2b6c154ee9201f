//! Stopping: asked once, told to everyone, proved by the last one being gone.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Frame, PATIENCE, TestServer, config, eventually, masked, metric, text, upgrade};
use tungstenite::Message;
use ws_echo::Config;
use ws_echo::Routes;

#[test]
fn an_idle_server_stops_at_once() {
    let server = TestServer::start();
    let since = Instant::now();
    let totals = server.finish().totals;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    assert_eq!((totals.accepted, totals.open), (0, 0));
}

#[test]
fn connected_clients_get_1001_and_a_clean_end() {
    let server = TestServer::with(Config { workers: 100, ..config() });
    let mut clients: Vec<_> = (0..100).map(|_| server.open("/echo")).collect();
    server.stop.request();
    for client in &mut clients {
        assert_eq!(client.read_frame(), Frame::close(1001, "server shutting down"));
        client.send(masked(0x88, 1001_u16.to_be_bytes()));
        client.expect_end();
    }
    drop(clients);
    let totals = server.finish().totals;
    assert_eq!((totals.closed[&("server", 1001)], totals.clean, totals.aborted), (100, 100, 0));
}

#[test]
fn a_conversation_is_interrupted_between_two_frames() {
    let server = TestServer::with(Config { workers: 21, ..config() });
    let clients: Vec<_> = (0..20)
        .map(|n| {
            let mut client = server.open("/echo");
            let mut feed = client.stream.try_clone().unwrap();
            let message = masked(0x82, vec![n; 1000 * usize::from(n) + 1]);
            let told = Arc::new(AtomicBool::new(false));
            let hears = Arc::clone(&told);
            let sender = thread::spawn(move || {
                while !hears.load(Ordering::Relaxed) {
                    feed.write_all(&message).unwrap();
                }
                feed.write_all(&masked(0x88, 1001_u16.to_be_bytes())).unwrap();
            });
            let reader = thread::spawn(move || {
                let size = 1000 * usize::from(n) + 1;
                loop {
                    let frame = client.read_frame();
                    if frame.first == 0x88 {
                        assert_eq!(frame, Frame::close(1001, "server shutting down"));
                        break;
                    }
                    assert!(frame == Frame::new(0x82, vec![n; size]), "a torn frame");
                }
                told.store(true, Ordering::Relaxed);
                // Exactly one Close, and nothing behind it.
                client.expect_end();
            });
            (sender, reader)
        })
        .collect();
    eventually("a conversation", || metric(server.address, "ws_echo_messages_sent_total") > 200);
    let totals = server.finish().totals;
    for (sender, reader) in clients {
        reader.join().unwrap();
        sender.join().unwrap();
    }
    assert_eq!((totals.closed[&("server", 1001)], totals.clean, totals.aborted), (20, 20, 0), "{totals:?}");
}

#[test]
fn who_is_in_its_handshake_or_waits_gets_503() {
    let server = TestServer::with(Config { workers: 2, waiting: 5, ..config() });
    let mut half = server.connect();
    half.send("GET / HTTP/1.1\r\nHost:");
    // Connections are accepted in order: when this one is served, the one before it has a worker too.
    let mut served = server.open("/echo");
    let mut waits = server.connect();
    waits.send(upgrade("/"));
    let mut mute = server.connect();
    server.stop.request();
    for client in [&mut half, &mut waits, &mut mute] {
        let answer = client.read_head();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        let body = String::from_utf8(client.read_rest()).unwrap();
        assert!(body.contains("shutting down"), "{body}");
    }
    assert_eq!(served.read_frame().code(), 1001);
    drop((half, waits, mute, served));
    let totals = server.finish().totals;
    assert_eq!((totals.closed[&("http", 503)], totals.refused["stopping"]), (1, 2), "{totals:?}");
}

#[test]
fn a_stalled_client_cannot_outlast_the_deadline() {
    let drain_timeout = Duration::from_millis(500);
    let server = TestServer::with(Config { drain_timeout, ..config() });
    let deaf = server.open("/echo");
    let mut stuffed = server.open("/echo");
    stuffed.stream.set_nonblocking(true).unwrap();
    let message = masked(0x82, vec![1; 1 << 20]);
    // Until neither side takes any more: the worker is stuck in a write.
    let (mut at, mut refused_since) = (0, None);
    while refused_since.is_none_or(|since: Instant| since.elapsed() < Duration::from_millis(200)) {
        match stuffed.stream.write(&message[at..]) {
            Ok(n) => (at, refused_since) = ((at + n) % message.len(), None),
            Err(_) => refused_since = refused_since.or(Some(Instant::now())),
        }
    }
    let since = Instant::now();
    let totals = server.finish().totals;
    let took = since.elapsed();
    assert!(took >= drain_timeout && took < drain_timeout + Duration::from_secs(2), "{took:?}");
    assert_eq!((totals.closed[&("server", 1001)], totals.clean, totals.aborted), (2, 0, 2), "{totals:?}");
    drop((deaf, stuffed));
}

#[test]
fn a_second_request_to_stop_is_harmless() {
    let server = TestServer::start();
    let mut client = server.open("/echo");
    assert!(server.stop.request());
    assert!(!server.stop.request());
    assert_eq!(client.read_frame().code(), 1001);
    client.send(masked(0x88, 1001_u16.to_be_bytes()));
    client.expect_end();
    server.stop.request();
    assert_eq!(server.finish().totals.clean, 1);
}

#[test]
fn nobody_is_accepted_any_more() {
    let server = TestServer::start();
    let mut client = server.open("/echo");
    server.stop.request();
    assert_eq!(client.read_frame().code(), 1001);
    eventually("connections are refused", || TcpStream::connect(server.address).is_err());
    client.send(text("too late, but not an error"));
    client.send(masked(0x88, 1001_u16.to_be_bytes()));
    client.expect_end();
}

#[test]
fn no_thread_remains() {
    let server = TestServer::with(Config { workers: 50, ..config() });
    let name = format!("ws:{}", server.address.port());
    let clients: Vec<_> = (0..10).map(|_| server.open("/echo")).collect();
    // A thread takes its name when it first runs.
    eventually("all threads have their names", || threads_named(&name) >= 50);
    server.stop.request();
    drop(clients);
    server.finish();
    // The pool's threads end by themselves once the pool is gone.
    eventually("all threads have ended", || threads_named(&name) == 0);
}

/// How many threads of this process have a name that begins so.
fn threads_named(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.starts_with(name)))
        .count()
}

#[test]
fn a_storm_of_connections_during_the_stop_is_answered_or_refused() {
    let server = TestServer::with(Config { workers: 4, waiting: 4, ..config() });
    let address = server.address;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let Ok(mut stream) = TcpStream::connect(address) else { continue };
                    let _ = stream.write_all(upgrade("/echo").as_bytes());
                }
            });
        }
        eventually("a storm", || TcpStream::connect(address).is_ok());
        let since = Instant::now();
        server.finish();
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_worker_that_never_stops_writing_closes_behind_a_whole_frame() {
    let routes = Routes::standard().with("/flood", |conversation| {
        let message = Message::binary(vec![7; 1000]);
        loop {
            conversation.send(&message)?;
        }
    });
    let server = TestServer::with_routes(config(), routes);
    let mut client = server.open("/flood");
    let mut received = 0;
    let close = loop {
        if received == 1000 {
            server.stop.request();
        }
        let frame = client.read_frame();
        if frame.first == 0x88 {
            break frame;
        }
        assert!(frame == Frame::new(0x82, vec![7; 1000]), "a torn frame");
        received += 1;
    };
    assert_eq!(close, Frame::close(1001, "server shutting down"));
    client.send(masked(0x88, 1001_u16.to_be_bytes()));
    client.expect_end();
    let totals = server.finish().totals;
    assert_eq!((totals.closed[&("server", 1001)], totals.clean), (1, 1), "{totals:?}");
    assert_eq!(totals.traffic.messages_out, received, "what was not sent is not counted");
}

#[test]
fn a_behaviour_that_closes_when_the_server_has_is_reported_as_closed_by_the_stop() {
    let (ready, wait) = channel();
    let ready = Mutex::new(ready);
    let routes = Routes::standard().with("/late", move |conversation| {
        ready.lock().unwrap().send(conversation.handle()).unwrap();
        // Gone on with when the supervisor's Close has gone out.
        let _ = conversation.receive();
        Err(conversation.close(4000, "too late"))
    });
    let server = TestServer::with_routes(config(), routes);
    let mut client = server.open("/late");
    wait.recv_timeout(PATIENCE).unwrap();
    server.stop.request();
    assert_eq!(client.read_frame(), Frame::close(1001, "server shutting down"));
    client.send(masked(0x88, 1001_u16.to_be_bytes()));
    client.expect_end();
    let totals = server.finish().totals;
    assert_eq!(totals.closed.get(&("server", 1001)), Some(&1), "{totals:?}");
}
