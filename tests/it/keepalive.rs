//! Pings of the server, and what follows if no Pong comes.

use std::time::{Duration, Instant};

use crate::harness::{Frame, config, masked, text};
use crate::transports::{Transport, both_transports};
use ws_echo::Config;

both_transports! {
    keepalive_pings_an_idle_client_and_pongs_keep_it_open,
    keepalive_without_pong_closes_with_1011_and_disconnects,
    keepalive_counts_any_byte_as_activity,
    keepalive_turned_off_sends_no_ping,
}

const SHORT: Duration = Duration::from_millis(200);

fn keepalive_pings_an_idle_client_and_pongs_keep_it_open(transport: Transport) {
    let server =
        transport.with(Config { ping_interval: SHORT, pong_timeout: Duration::from_secs(5), ..config() });
    let mut client = server.open("/echo");
    for _ in 0..3 {
        assert_eq!(client.read_frame(), Frame::new(0x89, ""));
        client.send(masked(0x8a, ""));
    }
    client.close();
    let totals = server.finish();
    assert!(totals.pings_out >= 3 && totals.traffic.pongs_in == 3 && totals.clean == 1, "{totals:?}");
}

fn keepalive_without_pong_closes_with_1011_and_disconnects(transport: Transport) {
    let server = transport.with(Config { ping_interval: SHORT, pong_timeout: SHORT, ..config() });
    let mut client = server.open("/echo");
    assert_eq!(client.read_frame(), Frame::new(0x89, ""));
    assert_eq!(client.read_frame(), Frame::close(1011, "keepalive timeout"));
    client.expect_gone();
    let totals = server.finish();
    assert_eq!((totals.closed[&("server", 1011)], totals.aborted), (1, 1));
}

fn keepalive_counts_any_byte_as_activity(transport: Transport) {
    let pong_timeout = Duration::from_secs(1);
    let server = transport.with(Config { ping_interval: SHORT, pong_timeout, ..config() });
    let mut client = server.open("/echo");
    let message = masked(0x82, "slow but active");
    let since = Instant::now();
    // One byte follows each Ping.
    for byte in &message[..12] {
        assert_eq!(client.read_frame(), Frame::new(0x89, ""));
        client.send([*byte]);
    }
    client.send(&message[12..]);
    assert!(since.elapsed() > 2 * pong_timeout, "only {:?}", since.elapsed());
    let echo = std::iter::repeat_with(|| client.read_frame()).find(|frame| frame.first != 0x89);
    assert_eq!(echo, Some(Frame::new(0x82, "slow but active")));
}

/// A delayed echo bounds the wait: six intervals pass before it arrives, without a byte from the client.
fn keepalive_turned_off_sends_no_ping(transport: Transport) {
    let first_frame = |ping_interval| {
        // The close time-out keeps the supervisor's tick as short as the interval would.
        let server = transport.with(Config { ping_interval, close_timeout: SHORT, ..config() });
        let mut client = server.open(&format!("/delay?ms={}", 6 * SHORT.as_millis()));
        client.send(text("echo"));
        let first = client.read_frame();
        (first, server.finish().pings_out)
    };
    let (frame, pings) = first_frame(SHORT);
    assert_eq!(frame, Frame::new(0x89, ""), "turned on, a Ping comes before the echo");
    assert!(pings > 0);
    assert_eq!(first_frame(Duration::ZERO), (Frame::new(0x81, "echo"), 0));
}
