//! The closing handshake and the close codes (RFC 6455, 7).

use std::io::Write;
use std::time::Duration;

use crate::harness::{Frame, TestServer, config, masked, text};
use crate::transports::{Transport, both_transports};
use tungstenite::Message;
use ws_echo::endpoints::echo::echo;
use ws_echo::{Config, Endpoint, Next, Routes, WebSocketSession};

both_transports! {
    close_is_echoed_with_its_code_and_the_stream_ends,
    close_follows_all_pending_replies,
    protocol_error_closes_with_1002,
    invalid_utf8_closes_with_1007,
    oversize_message_closes_with_1009,
    oversize_message_in_flight_does_not_lose_the_close_frame,
    disconnect_without_close_frees_the_worker,
    close_without_reply_aborts_at_the_close_timeout,
}

fn close_is_echoed_with_its_code_and_the_stream_ends(transport: Transport) {
    let server = transport.start();
    for code in [1000_u16, 1001, 1011, 3000, 4999] {
        let mut client = server.open("/echo");
        client.send(masked(0x88, [&code.to_be_bytes()[..], b"bye"].concat()));
        assert_eq!(client.read_frame(), Frame::close(code, "bye"));
        client.expect_end();
    }
    let mut client = server.open("/echo");
    client.send(masked(0x88, ""));
    assert_eq!(client.read_frame(), Frame::new(0x88, ""), "a Close without a code");
    client.expect_end();
    let totals = server.finish();
    assert_eq!((totals.clean, totals.closed[&("client", 1005)], totals.closed[&("client", 4999)]), (6, 1, 1));
}

fn close_follows_all_pending_replies(transport: Transport) {
    let server = transport.start();
    let mut client = server.open("/echo");
    client.send([text("one"), text("two"), masked(0x83, "reserved opcode"), text("never")].concat());
    assert_eq!(client.read_text(), "one");
    assert_eq!(client.read_text(), "two");
    assert_eq!(client.read_frame().code(), 1002);
    client.expect_end();
}

fn protocol_error_closes_with_1002(transport: Transport) {
    let server = transport.start();
    let errors = [
        ("an unmasked frame", vec![0x81, 0x01, b'x']),
        ("a reserved bit", masked(0xc1, "x")),
        ("a reserved control opcode", masked(0x8b, "")),
        ("a fragmented Ping", masked(0x09, "x")),
        ("a Ping of 126 bytes", masked(0x89, "x".repeat(126))),
        ("a continuation of nothing", masked(0x80, "x")),
        ("a message inside a message", [masked(0x01, "a"), masked(0x81, "b")].concat()),
        ("a Close of one byte", masked(0x88, [3])),
        ("a Close with 1005", masked(0x88, 1005_u16.to_be_bytes())),
        ("a Close with 999", masked(0x88, 999_u16.to_be_bytes())),
    ];
    for (error, bytes) in errors {
        let mut client = server.open("/echo");
        client.send(bytes);
        assert_eq!(client.read_frame().code(), 1002, "{error}");
        client.expect_end();
    }
}

fn invalid_utf8_closes_with_1007(transport: Transport) {
    let server = transport.start();
    let split = [masked(0x01, [0xce]), masked(0x80, [0x41])].concat();
    for bytes in [masked(0x81, [0xff]), split, masked(0x88, [0x03, 0xe8, 0xff])] {
        let mut client = server.open("/echo");
        client.send(bytes);
        assert_eq!(client.read_frame().code(), 1007);
        client.expect_end();
    }
}

fn oversize_message_closes_with_1009(transport: Transport) {
    let server = transport.with(Config { max_message: 1000, ..config() });
    let mut client = server.open("/echo");
    client.send(text(&"x".repeat(1000)));
    assert_eq!(client.read_text().len(), 1000, "at the limit");
    // The header is enough: the payload is never sent.
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
    client.expect_end();
}

fn oversize_message_in_flight_does_not_lose_the_close_frame(transport: Transport) {
    let server = transport.with(Config { max_message: 1 << 20, ..config() });
    let mut client = server.open("/echo");
    // The server closes while most of this is still in flight.
    client.send(masked(0x82, vec![7; 2 << 20]));
    assert_eq!(client.read_frame().code(), 1009);
    client.expect_end();
}

fn disconnect_without_close_frees_the_worker(transport: Transport) {
    let server = transport.with(Config { connections: 1, ..config() });
    let mut client = server.open("/echo");
    client.send(&masked(0x82, vec![1; 1000])[..500]);
    drop(client);
    let mut client = server.open("/echo");
    client.end_sending();
    client.expect_end();
    drop(client);
    server.open("/echo").close();
    assert_eq!(server.finish().closed[&("vanished", 1006)], 2);
}

/// Sends a Close when the session opens.
struct CloseAtOnce(u16, &'static str);

impl Endpoint for CloseAtOnce {
    fn on_open(&mut self, _: &mut WebSocketSession) -> Next {
        Next::Close(self.0, self.1.to_owned())
    }

    fn on_message(&mut self, _: &mut WebSocketSession, _: Message) -> Next {
        Next::Continue
    }
}

fn close_without_reply_aborts_at_the_close_timeout(transport: Transport) {
    let config = Config { connections: 1, close_timeout: Duration::from_millis(200), ..config() };
    let routes = Routes::standard().with("/bye", || CloseAtOnce(4001, "bye"));
    let server = transport.with_routes(config, routes);
    let mut silent = server.open("/bye");
    assert_eq!(silent.read_frame(), Frame::close(4001, "bye"));
    silent.expect_gone();
    let mut client = server.open("/bye");
    assert_eq!(client.read_frame(), Frame::close(4001, "bye"));
    client.send(text("sent before the Close arrived"));
    client.send(masked(0x88, 4001_u16.to_be_bytes()));
    client.expect_end();
    let totals = server.finish();
    assert_eq!((totals.closed[&("server", 4999)], totals.clean, totals.aborted), (2, 1, 1), "{totals:?}");
}

/// Closing a socket with unread bytes makes the kernel send a reset, which may discard what the client has not read
/// yet. Linux delivers it all the same. The proof that there was no reset is that the client can go on sending.
#[test]
fn close_and_pending_replies_arrive_while_the_client_keeps_sending() {
    let bug = |session: &mut WebSocketSession, message: Message| {
        assert!(message.is_text(), "caused by a test");
        echo(session, message)
    };
    let routes = Routes::standard().with("/bug", move || bug);
    let server = TestServer::with_routes(Config { max_message: 4096, ..config() }, routes);
    let pending: Vec<String> = (0..200).map(|n| format!("pending {n} {}", "x".repeat(n))).collect();
    // Far more than the server has read when it closes.
    let behind = masked(0x82, vec![7; 4000]).repeat(500);
    let errors = [
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
    for (code, path, error) in errors {
        let mut client = server.open(path);
        let messages: Vec<u8> = pending.iter().flat_map(|message| text(message)).collect();
        client.send([&messages[..], &error, &behind].concat());
        for message in &pending {
            assert_eq!(client.read_text(), *message, "before {code}");
        }
        assert_eq!(client.read_frame().code(), code);
        client.expect_end();
        for _ in 0..100 {
            let sent = client.stream.write_all(&masked(0x82, "more"));
            sent.unwrap_or_else(|error| panic!("after {code}: {error}"));
        }
    }
    let totals = server.finish().totals;
    let count = |code| totals.closed.get(&("server", code)).copied().unwrap_or_default();
    assert_eq!((count(1007), count(1009), count(1011), totals.aborted), (2, 2, 1, 0), "{totals:?}");
}
