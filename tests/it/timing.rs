//! Endpoints that wait: their intervals, and that a shutdown or a disconnect ends every wait.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::harness::{Client, Frame, TEST_TIMEOUT, TestServer, config, eventually, masked, metric, text};
use crate::transports::Transport;
use ws_echo::Config;

fn json(client: &mut Client) -> Json {
    let text = client.read_text();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[test]
fn delay_keeps_order_and_delays_many_messages_at_once() {
    let server = TestServer::start();
    let mut client = server.open("/delay?ms=200&jitter=100ms");
    let since = Instant::now();
    for n in 0..50 {
        client.send(text(&n.to_string()));
    }
    for n in 0..50 {
        assert_eq!(client.read_text(), n.to_string());
        assert!(since.elapsed() >= Duration::from_millis(100), "{n} after {:?}", since.elapsed());
    }
    assert!(since.elapsed() < Duration::from_secs(5), "one after the other: {:?}", since.elapsed());
    client.close();
}

#[test]
fn ping_gets_its_pong_while_an_echo_waits() {
    let server = TestServer::start();
    for path in ["/delay?ms=1h", "/throttle?bytes=1", "/push?every=1h&count=2", "/source?count=1000000000"] {
        let mut client = server.open(path);
        client.send([text("this waits"), masked(0x89, "ping")].concat());
        while client.read_frame() != Frame::new(0x8a, "ping") {}
        client.send(masked(0x88, 1000_u16.to_be_bytes()));
        while client.read_frame() != Frame::close(1000, "") {}
        client.expect_end();
    }
}

/// Sends until the server stops reading. Returns the number of bytes sent.
fn send_until_blocked(client: &mut Client) -> usize {
    client.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let message = masked(0x82, vec![1; 64 << 10]);
    let mut sent = 0;
    while client.stream.write_all(&message).is_ok() {
        sent += message.len();
        assert!(sent < 200 << 20, "the server reads without end");
    }
    sent
}

#[test]
fn backpressure_stops_reading_and_shutdown_still_sends_1001() {
    let server = TestServer::start();
    let mut blocked: Vec<Client> =
        ["/delay?ms=1h", "/throttle?bytes=1"].into_iter().map(|path| server.open(path)).collect();
    for client in &mut blocked {
        send_until_blocked(client);
    }
    server.stop.request();
    for client in &mut blocked {
        while client.read_frame() != Frame::close(1001, "server shutting down") {}
        // In the middle of a message, so that no Close can follow.
        client.end_sending();
        client.expect_gone();
    }
    let since = Instant::now();
    let totals = server.finish().totals;
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert_eq!(totals.closed[&("server", 1001)], 2, "{totals:?}");
}

#[test]
fn shutdown_ends_the_waits_of_all_endpoints() {
    let server = TestServer::with(Config { connections: 20, ..config() });
    let paths =
        ["/delay?ms=1h", "/throttle?bytes=1", "/push?every=1h", "/stats", "/silent", "/broadcast", "/sink"];
    let mut clients: Vec<Client> = paths.into_iter().map(|path| server.open(path)).collect();
    for client in &mut clients {
        client.send(text("wait"));
    }
    eventually("all are waiting", || metric(server.address, "ws_echo_messages_received_total") >= 7);
    let since = Instant::now();
    server.stop.request();
    for client in &mut clients {
        while client.read_frame() != Frame::close(1001, "server shutting down") {}
        client.send(masked(0x88, 1001_u16.to_be_bytes()));
        client.expect_end();
    }
    let totals = server.finish().totals;
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert_eq!((totals.clean, totals.aborted), (7, 0), "{totals:?}");
}

#[test]
fn shutdown_ends_a_wait_of_a_silent_client_at_the_drain_timeout() {
    let drain_timeout = Duration::from_millis(500);
    let server = TestServer::with(Config { drain_timeout, ..config() });
    let mut silent = server.open("/delay?ms=1h");
    silent.send(text("wait"));
    eventually("it waits", || metric(server.address, "ws_echo_messages_received_total") == 1);
    let since = Instant::now();
    let totals = server.finish().totals;
    assert!(since.elapsed() < drain_timeout + Duration::from_secs(2), "{:?}", since.elapsed());
    assert_eq!(totals.aborted, 1, "{totals:?}");
}

#[test]
fn disconnect_is_noticed_while_an_endpoint_waits() {
    let server = TestServer::start();
    let paths = [
        "/delay?ms=1h",
        "/throttle?bytes=1",
        "/push?every=1h",
        "/stats",
        "/broadcast",
        "/source?count=1000000000",
    ];
    let clients: Vec<Client> = paths
        .into_iter()
        .map(|path| {
            let mut client = server.open(path);
            client.send(text("wait"));
            client
        })
        .collect();
    eventually("all are counted", || metric(server.address, "ws_echo_connections_open") >= 6);
    drop(clients);
    // The request for the metrics may be open.
    eventually("all are closed", || metric(server.address, "ws_echo_connections_open") <= 1);
    assert_eq!(server.finish().totals.closed[&("vanished", 1006)], 6);
}

#[test]
fn keepalive_spares_a_client_whose_worker_pauses() {
    let (ping_interval, pong_timeout) = (Duration::from_millis(100), Duration::from_secs(1));
    let server = TestServer::with(Config { ping_interval, pong_timeout, ..config() });
    // The pause is longer than both together.
    let mut client = server.open("/delay?ms=2s");
    let mut feed = client.stream.try_clone().unwrap();
    // More than the endpoint queues, so the worker pauses without reading.
    let sender = thread::spawn(move || {
        for _ in 0..20 {
            feed.write_all(&masked(0x82, vec![1; 64 << 10])).unwrap();
        }
    });
    let mut echoes = 0;
    while echoes < 20 {
        let frame = client.read_frame();
        match frame.first {
            0x82 => echoes += 1,
            0x89 => client.send(masked(0x8a, "")),
            _ => panic!("{frame:?} after {echoes} echoes"),
        }
    }
    sender.join().unwrap();
}

#[test]
fn push_endpoint_numbers_its_messages_and_keeps_its_interval() {
    let server = TestServer::start();
    let since = Instant::now();
    let mut client = server.open("/push?every=50ms&count=5&size=100");
    for n in 1..=5 {
        let message = client.read_text();
        assert_eq!(message.len(), 100, "{message}");
        let message: Json = serde_json::from_str(&message).unwrap();
        assert_eq!(message["n"], n);
        assert!(message["time"].as_str().unwrap().ends_with('Z'), "{message}");
    }
    assert!(since.elapsed() >= Duration::from_millis(200), "{:?}", since.elapsed());
    assert_eq!(client.read_frame(), Frame::close(1000, ""));
}

#[test]
fn source_sends_the_requested_messages_and_a_summary() {
    let server = TestServer::start();
    let mut client = server.open("/source?size=64KiB&count=100");
    for _ in 0..100 {
        let frame = client.read_frame();
        assert_eq!((frame.first, frame.payload.len()), (0x82, 65_536));
    }
    let summary = json(&mut client);
    assert_eq!((&summary["messages"], &summary["bytes"]), (&100.into(), &6_553_600.into()));
    assert!(summary["bytes_per_second"].as_f64().unwrap() > 0.0, "{summary}");
    assert_eq!(client.read_frame(), Frame::close(1000, ""));
}

#[test]
fn sink_sends_its_summary_on_request_or_after_count_messages() {
    let server = TestServer::start();
    let mut client = server.open("/sink?count=3");
    client.send([masked(0x82, [0; 100]), text("ten bytes.")].concat());
    client.send(text(""));
    let summary = json(&mut client);
    assert_eq!((&summary["messages"], &summary["bytes"]), (&2.into(), &110.into()));
    client.send([text("1"), text("2"), text("3")].concat());
    assert_eq!(json(&mut client)["messages"], 3);
    client.close();
}

#[test]
fn throttle_limits_the_rate_and_echoes_the_whole_message() {
    let server = TestServer::start();
    let mut client = server.open("/throttle?bytes=1000");
    let payload: Vec<u8> = (0..500_usize).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let since = Instant::now();
    client.send(masked(0x82, &payload));
    let mut received = Vec::new();
    loop {
        let frame = client.read_frame();
        assert_eq!(frame.first & 0x0f, if received.is_empty() { 2 } else { 0 }, "{frame:?}");
        received.extend(frame.payload);
        if frame.first & 0x80 != 0 {
            break;
        }
    }
    let took = since.elapsed();
    assert_eq!(received, payload);
    assert!(took >= Duration::from_millis(490) && took < Duration::from_secs(5), "{took:?}");
    client.send(text(""));
    assert_eq!(client.read_frame(), Frame::new(0x81, ""));
}

#[test]
fn stats_are_sent_unsolicited() {
    let server = TestServer::with(Config { write_timeout: Duration::from_millis(100), ..config() });
    let mut client = server.open("/stats");
    let mut other = server.open("/echo");
    other.send(text("12345"));
    other.read_text();
    let since = Instant::now();
    loop {
        let stats = json(&mut client);
        assert!(stats["rates"]["messages_in"].is_number(), "{stats}");
        if stats["open"] == 2 && stats["totals"]["bytes_in"] == 5 {
            break;
        }
        assert!(since.elapsed() < TEST_TIMEOUT, "{stats}");
    }
}

#[test]
fn tls_timed_endpoints_keep_their_intervals() {
    let tls = Transport::Tls.start();
    let mut delayed = tls.open("/delay?ms=200");
    let since = Instant::now();
    for n in 0..20 {
        delayed.send(text(&n.to_string()));
    }
    for n in 0..20 {
        assert_eq!(delayed.read_text(), n.to_string());
    }
    let took = since.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(4), "{took:?}");
    let mut pushed = tls.open("/push?every=20ms&count=3&size=20000");
    for _ in 0..3 {
        assert_eq!(pushed.read_text().len(), 20_000);
    }
    assert_eq!(pushed.read_frame(), Frame::close(1000, ""));
    let mut source = tls.open("/source?size=20000&count=50");
    for _ in 0..50 {
        assert_eq!(source.read_frame().payload.len(), 20_000);
    }
    assert!(source.read_text().contains("\"messages\":50"));
    // A Ping during a wait, and the shutdown that ends it.
    let mut waiting = tls.open("/throttle?bytes=1");
    waiting.send([text("long"), masked(0x89, "ping")].concat());
    while waiting.read_frame() != Frame::new(0x8a, "ping") {}
    tls.server.stop.request();
    while waiting.read_frame() != Frame::close(1001, "server shutting down") {}
    waiting.send(masked(0x88, 1001_u16.to_be_bytes()));
    waiting.expect_end();
    assert_eq!(delayed.read_frame(), Frame::close(1001, "server shutting down"));
    drop((delayed, pushed, source, waiting));
    let totals = tls.finish();
    assert!(since.elapsed() < Duration::from_secs(9), "{:?}", since.elapsed());
    assert_eq!(totals.closed.get(&("server", 1001)), Some(&2), "{totals:?}");
}
