//! Pings from the server, and what silence after them leads to.

use std::time::Duration;

use crate::harness::{Frame, TestServer, config, masked};
use ws_echo::Config;

const SHORT: Duration = Duration::from_millis(200);

#[test]
fn an_idle_client_is_pinged_and_lives_on_by_answering() {
    let server =
        TestServer::with(Config { ping_interval: SHORT, pong_timeout: Duration::from_secs(5), ..config() });
    let mut client = server.open("/echo");
    for _ in 0..3 {
        assert_eq!(client.read_frame(), Frame::new(0x89, ""));
        client.send(masked(0x8a, ""));
    }
    client.close();
    let totals = server.finish().totals;
    assert!(totals.pings_out >= 3 && totals.traffic.pongs_in == 3 && totals.clean == 1, "{totals:?}");
}

#[test]
fn no_pong_by_the_deadline_is_1011_and_then_the_connection_ends() {
    let server = TestServer::with(Config { ping_interval: SHORT, pong_timeout: SHORT, ..config() });
    let mut client = server.open("/echo");
    assert_eq!(client.read_frame(), Frame::new(0x89, ""));
    assert_eq!(client.read_frame(), Frame::close(1011, "keepalive timeout"));
    client.expect_gone();
    let totals = server.finish().totals;
    assert_eq!((totals.closed[&("server", 1011)], totals.aborted), (1, 1));
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let server = TestServer::with(Config {
        ping_interval: SHORT,
        pong_timeout: Duration::from_millis(400),
        ..config()
    });
    let mut client = server.open("/echo");
    let message = masked(0x82, "slow but alive");
    // A byte is the answer to each Ping, and the message takes far longer than the pong time-out.
    for byte in &message[..6] {
        assert_eq!(client.read_frame(), Frame::new(0x89, ""));
        client.send([*byte]);
    }
    client.send(&message[6..]);
    let echo = std::iter::repeat_with(|| client.read_frame()).find(|frame| frame.first != 0x89);
    assert_eq!(echo, Some(Frame::new(0x82, "slow but alive")));
}

#[test]
fn no_ping_is_sent_where_they_are_turned_off() {
    let server = TestServer::with(Config { ping_interval: Duration::ZERO, close_timeout: SHORT, ..config() });
    let mut client = server.open("/echo");
    client.stream.set_read_timeout(Some(SHORT * 3)).unwrap();
    let mut byte = [0];
    let nothing = std::io::Read::read(&mut client.stream, &mut byte).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}
