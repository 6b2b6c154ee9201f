//! Close codes that clients may and must not send (RFC 6455, 7.4), and the time after a Close for an error.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Frame, TestServer, config, masked};
use crate::server_process::{ServerProcess, command};
use crate::transports::{Transport, both_transports};
use ws_echo::Config;

both_transports! {
    close_code_that_may_be_sent_is_echoed,
    close_code_that_must_not_be_sent_closes_with_1002_and_is_named,
}

/// Returns a Close of a client.
fn close(code: u16, reason: &str) -> Vec<u8> {
    masked(0x88, [&code.to_be_bytes()[..], reason.as_bytes()].concat())
}

fn close_code_that_may_be_sent_is_echoed(transport: Transport) {
    let server = transport.start();
    let codes = [1000, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
    for code in codes {
        let mut client = server.open("/echo");
        client.send(close(code, "bye"));
        assert_eq!(client.read_frame(), Frame::close(code, "bye"));
        client.expect_end();
    }
    // Each byte in a read of its own.
    let mut client = server.open("/echo");
    for byte in close(1014, "") {
        client.send([byte]);
    }
    assert_eq!(client.read_frame(), Frame::close(1014, ""));
    client.expect_end();
    let totals = server.finish();
    assert_eq!((totals.closed[&("client", 1014)], totals.clean), (2, codes.len() as u64 + 1), "{totals:?}");
}

fn close_code_that_must_not_be_sent_closes_with_1002_and_is_named(transport: Transport) {
    let server = transport.start();
    let codes = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535];
    for code in codes {
        let mut client = server.open("/echo");
        client.send(close(code, "bye"));
        let sentence = format!("Close frame with code {code}, which must not be sent");
        assert_eq!(client.read_frame(), Frame::close(1002, &sentence));
        client.expect_end();
    }
    let totals = server.finish();
    assert_eq!(totals.closed.get(&("server", 1002)), Some(&(codes.len() as u64)), "{totals:?}");
}

#[test]
fn close_code_1014_is_accepted_as_the_reply_to_a_close_of_the_server() {
    let server = TestServer::start();
    let mut client = server.open("/close?code=4001");
    assert_eq!(client.read_frame().code(), 4001);
    client.send(close(1014, ""));
    client.expect_end();
    let totals = server.finish().totals;
    assert_eq!((totals.closed[&("server", 4999)], totals.clean), (1, 1), "{totals:?}");
}

#[test]
fn close_code_that_must_not_be_sent_is_logged_as_closed_by_the_server() {
    let process = ServerProcess::spawn(&mut command(&["--listen", "127.0.0.1:0", "--workers", "4"]));
    let mut client = process.open("/echo");
    client.send(close(1005, ""));
    assert_eq!(client.read_frame().code(), 1002);
    client.expect_end();
    process.signal("TERM");
    let (_, _, err) = process.wait();
    let line = "closed by the server with 1002 \"Close frame with code 1005, which must not be sent\"";
    assert!(err.contains(line) && !err.contains("closed by the client"), "{err}");
}

/// The time is more than the server gives a client that has nothing to send any more.
#[test]
fn sender_that_continues_after_an_error_reads_the_close() {
    let server =
        TestServer::with(Config { max_message: 1000, close_timeout: Duration::from_secs(15), ..config() });
    let errors = [(1009, masked(0x82, [7; 1001])), (1002, masked(0x83, "a reserved opcode"))];
    let mut clients = errors.map(|(code, bytes)| {
        let mut client = server.open("/echo");
        client.send(bytes);
        (code, client)
    });
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(3) {
        for (code, client) in &mut clients {
            let sent = client.stream.write_all(&[7; 1000]);
            sent.unwrap_or_else(|error| panic!("{code} after {:?}: {error}", since.elapsed()));
        }
        // The rate of a slow sender, not a wait for anything.
        thread::sleep(Duration::from_millis(20));
    }
    for (code, mut client) in clients {
        assert_eq!(client.read_frame().code(), code);
        client.expect_end();
    }
}

#[test]
fn sender_that_never_stops_after_an_error_is_reset_at_the_close_timeout() {
    let close_timeout = Duration::from_secs(2);
    let server = TestServer::with(Config { connections: 1, max_message: 1000, close_timeout, ..config() });
    let mut client = server.open("/echo");
    client.send(masked(0x82, [7; 1001]));
    assert_eq!(client.read_frame().code(), 1009);
    let (since, chunk) = (Instant::now(), vec![7; 64 << 10]);
    let error = loop {
        if let Err(error) = client.stream.write_all(&chunk) {
            break error;
        }
    };
    let took = since.elapsed();
    let reset = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(reset.contains(&error.kind()), "{error} after {took:?}");
    assert!(took >= close_timeout / 2 && took < 5 * close_timeout, "after {took:?}");
    server.open("/echo").close();
}
