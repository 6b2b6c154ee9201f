//! Peers that take without end: those that do not read, and bugs of our own.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, TestServer, config, masked, text};
use ws_echo::Config;
use ws_echo::Routes;

#[test]
fn a_client_that_never_reads_is_cut_and_nobody_else_notices() {
    let server = TestServer::with(Config { write_timeout: Duration::from_millis(500), ..config() });
    let mut deaf = server.open("/echo");
    let mut other = server.open("/echo");
    let sender = thread::spawn(move || {
        let message = masked(0x82, vec![1; 1 << 20]);
        let since = Instant::now();
        let error = loop {
            match deaf.stream.write(&message) {
                Ok(n) => assert!(n > 0 && since.elapsed() < PATIENCE, "the server takes without end"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    });
    while !sender.is_finished() {
        let since = Instant::now();
        other.send(text("tick"));
        assert_eq!(other.read_text(), "tick");
        assert!(since.elapsed() < Duration::from_secs(2), "the other session waited {:?}", since.elapsed());
    }
    sender.join().unwrap();
    other.close();
    let totals = server.finish().totals;
    assert_eq!((totals.closed[&("cut", 1006)], totals.aborted), (1, 1), "{totals:?}");
}

#[test]
fn a_client_that_reads_slowly_is_not_cut() {
    let server = TestServer::with(Config { write_timeout: Duration::from_millis(400), ..config() });
    let mut slow = server.open("/echo");
    let payload = vec![9; 8 << 20];
    let mut feed = slow.stream.try_clone().unwrap();
    let bytes = masked(0x82, &payload);
    let sender = thread::spawn(move || feed.write_all(&bytes).unwrap());
    let mut left = payload.len() + 10;
    let mut piece = vec![0; 1 << 20];
    let since = Instant::now();
    while left > 0 {
        let n = std::io::Read::read(&mut slow.stream, &mut piece).unwrap();
        assert!(n > 0, "cut with {left} bytes to go");
        left -= n;
        // The pace of a slow line, not a wait for anything.
        thread::sleep(Duration::from_millis(20));
    }
    sender.join().unwrap();
    assert!(since.elapsed() < PATIENCE);
    slow.close();
}

#[test]
fn a_panic_ends_its_own_session_with_1011_and_the_pool_keeps_its_size() {
    let routes = Routes::standard().with("/panic", |conversation| {
        let message = conversation.receive()?;
        conversation.send(&message)?;
        panic!("provoked by a test");
    });
    let server = TestServer::with_routes(Config { workers: 2, ..config() }, routes);
    let mut bystander = server.open("/echo");
    for _ in 0..4 {
        let mut victim = server.open("/panic");
        victim.send(text("last words"));
        assert_eq!(victim.read_text(), "last words", "owed echoes go out first");
        assert_eq!(victim.read_frame().code(), 1011);
        victim.expect_end();
    }
    bystander.send(text("unharmed"));
    assert_eq!(bystander.read_text(), "unharmed");
    bystander.close();
    let totals = server.finish().totals;
    assert_eq!((totals.panics, totals.closed[&("server", 1011)], totals.clean), (4, 4, 1));
}
