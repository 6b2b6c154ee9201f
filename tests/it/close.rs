//! The closing handshake and the codes (RFC 6455, 7).

use std::io::Write;
use std::time::Duration;

use crate::harness::{Frame, TestServer, config, masked, text};
use ws_echo::Config;
use ws_echo::Routes;

#[test]
fn a_close_is_answered_with_its_code_and_then_the_stream_ends() {
    let server = TestServer::start();
    for code in [1000_u16, 1001, 1011, 3000, 4999] {
        let mut client = server.open("/echo");
        client.send(masked(0x88, [&code.to_be_bytes()[..], b"bye"].concat()));
        assert_eq!(client.read_frame(), Frame::close(code, "bye"));
        client.expect_end();
    }
    let mut client = server.open("/echo");
    client.send(masked(0x88, ""));
    assert_eq!(client.read_frame(), Frame::new(0x88, ""), "no code is answered with no code");
    client.expect_end();
    let totals = server.finish().totals;
    assert_eq!((totals.clean, totals.closed[&("client", 1005)], totals.closed[&("client", 4999)]), (6, 1, 1));
}

#[test]
fn echoes_that_are_owed_go_out_before_a_close() {
    let server = TestServer::start();
    let mut client = server.open("/echo");
    let broken = [text("one"), text("two"), masked(0x83, "reserved opcode"), text("never")].concat();
    client.send(broken);
    assert_eq!(client.read_text(), "one");
    assert_eq!(client.read_text(), "two");
    assert_eq!(client.read_frame().code(), 1002);
    client.expect_end();
}

#[test]
fn frames_against_the_rfc_are_1002() {
    let server = TestServer::start();
    let unmasked = vec![0x81, 0x01, b'x'];
    let long_ping = masked(0x89, "x".repeat(126));
    let faults = [
        ("an unmasked frame", unmasked),
        ("a reserved bit", masked(0xc1, "x")),
        ("a reserved control opcode", masked(0x8b, "")),
        ("a fragmented Ping", masked(0x09, "x")),
        ("a Ping of 126 bytes", long_ping),
        ("a continuation of nothing", masked(0x80, "x")),
        ("a message inside a message", [masked(0x01, "a"), masked(0x81, "b")].concat()),
        ("a Close of one byte", masked(0x88, [3])),
        ("a Close with 1005", masked(0x88, 1005_u16.to_be_bytes())),
        ("a Close with 999", masked(0x88, 999_u16.to_be_bytes())),
    ];
    for (fault, bytes) in faults {
        let mut client = server.open("/echo");
        client.send(bytes);
        assert_eq!(client.read_frame().code(), 1002, "{fault}");
        client.expect_end();
    }
}

#[test]
fn text_that_is_not_utf8_is_1007() {
    let server = TestServer::start();
    let split = [masked(0x01, [0xce]), masked(0x80, [0x41])].concat();
    for bytes in [masked(0x81, [0xff]), split, masked(0x88, [0x03, 0xe8, 0xff])] {
        let mut client = server.open("/echo");
        client.send(bytes);
        assert_eq!(client.read_frame().code(), 1007);
        client.expect_end();
    }
}

#[test]
fn a_message_over_the_limit_is_1009_and_one_at_the_limit_is_not() {
    let server = TestServer::with(Config { max_message: 1000, ..config() });
    let mut client = server.open("/echo");
    client.send(text(&"x".repeat(1000)));
    assert_eq!(client.read_text().len(), 1000);
    // The length alone is enough: nobody waits for the payload.
    client.send([0x81, 0x80 | 126, 0x03, 0xe9, 1, 2, 3, 4]);
    assert_eq!(client.read_frame().code(), 1009);
    client.expect_end();
    let mut client = server.open("/echo");
    client.send([masked(0x01, "x".repeat(600)), masked(0x80, "x".repeat(401))].concat());
    assert_eq!(client.read_frame().code(), 1009, "in fragments");
    client.expect_end();
    let mut client = server.open("/echo");
    client.send([0x82, 0x80 | 127, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]);
    assert_eq!(client.read_frame().code(), 1009, "a length of 2^63 - 1");
}

#[test]
fn the_close_of_a_too_large_message_is_not_lost_to_a_reset() {
    let server = TestServer::with(Config { max_message: 1 << 20, ..config() });
    let mut client = server.open("/echo");
    // More than the server will ever read as a message is in flight behind the header when it closes.
    client.send(masked(0x82, vec![7; 2 << 20]));
    assert_eq!(client.read_frame().code(), 1009);
    client.expect_end();
}

#[test]
fn a_client_that_goes_without_a_close_frees_its_worker() {
    let server = TestServer::with(Config { workers: 1, ..config() });
    let mut killed = server.open("/echo");
    killed.send(&masked(0x82, vec![1; 1000])[..500]);
    drop(killed);
    let mut halved = server.open("/echo");
    halved.end_sending();
    halved.expect_end();
    drop(halved);
    server.open("/echo").close();
    assert_eq!(server.finish().totals.closed[&("vanished", 1006)], 2);
}

#[test]
fn who_does_not_answer_a_close_is_cut() {
    let config = Config { workers: 1, close_timeout: Duration::from_millis(200), ..config() };
    let routes = Routes::standard().with("/bye", |conversation| Err(conversation.close(4001, "bye")));
    let server = TestServer::with_routes(config, routes);
    let mut deaf = server.open("/bye");
    assert_eq!(deaf.read_frame(), Frame::close(4001, "bye"));
    deaf.expect_gone();
    let mut polite = server.open("/bye");
    assert_eq!(polite.read_frame(), Frame::close(4001, "bye"));
    polite.send(text("on its way when the Close came"));
    polite.send(masked(0x88, 4001_u16.to_be_bytes()));
    polite.expect_end();
    let totals = server.finish().totals;
    assert_eq!((totals.closed[&("server", 4001)], totals.clean, totals.aborted), (2, 1, 1), "{totals:?}");
}

/// To close a socket with unread bytes makes the kernel reset the connection, and a reset may throw away what the
/// client has not read yet: here that is everything, because it reads only when it has said everything. Linux gives
/// it all the same, so the proof that there was no reset is that the client may talk on.
#[test]
fn neither_owed_echoes_nor_the_close_are_lost_while_the_client_talks_on() {
    let routes = Routes::standard().with("/bug", |conversation| {
        loop {
            let message = conversation.receive()?;
            assert!(message.is_text(), "provoked by a test");
            conversation.send(&message)?;
        }
    });
    let server = TestServer::with_routes(Config { max_message: 4096, ..config() }, routes);
    let owed: Vec<String> = (0..200).map(|n| format!("owed {n} {}", "x".repeat(n))).collect();
    // Far more than the server has read when it closes.
    let behind = masked(0x82, vec![7; 4000]).repeat(500);
    let faults = [
        (1002, "/echo", masked(0x83, "a reserved opcode")),
        (1002, "/echo", vec![0x81, 0x01, b'x']),
        (1002, "/echo", masked(0x88, 1005_u16.to_be_bytes())),
        (1007, "/echo", masked(0x81, [0xff])),
        (1007, "/echo", masked(0x01, [0xc3, 0x28])),
        (1009, "/echo", masked(0x82, vec![7; 4097])),
        (1009, "/echo", [masked(0x02, vec![7; 4096]), masked(0x80, "x")].concat()),
        (1011, "/bug", masked(0x82, "binary")),
        (3000, "/echo", masked(0x88, 3000_u16.to_be_bytes())),
    ];
    for (code, path, fault) in faults {
        let mut client = server.open(path);
        let echoed: Vec<u8> = owed.iter().flat_map(|message| text(message)).collect();
        client.send([&echoed[..], &fault, &behind].concat());
        for message in &owed {
            assert_eq!(client.read_text(), *message, "before {code}");
        }
        assert_eq!(client.read_frame().code(), code);
        client.expect_end();
        for _ in 0..100 {
            let sent = client.stream.write_all(&masked(0x82, "on and on"));
            sent.unwrap_or_else(|error| panic!("after {code}: {error}"));
        }
    }
    let totals = server.finish().totals;
    let count = |code| totals.closed.get(&("server", code)).copied().unwrap_or_default();
    assert_eq!((count(1007), count(1009), count(1011), totals.aborted), (2, 2, 1, 0), "{totals:?}");
}
