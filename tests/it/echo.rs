//! Echoes, byte for byte.

use crate::harness::{Frame, TestServer, config, masked, text};
use crate::transports::{Transport, both_transports};
use ws_echo::Config;

both_transports! {
    root_echoes_text_with_prefix_and_binary_unchanged,
    other_paths_echo_verbatim,
    empty_messages_are_echoed_empty,
    message_of_any_size_is_echoed_in_one_frame,
    large_messages_are_echoed_whole_and_in_fragments,
    ping_gets_a_pong_with_its_payload,
    fragments_are_joined_and_a_ping_between_them_gets_its_pong_at_once,
    burst_is_echoed_in_order,
}

fn root_echoes_text_with_prefix_and_binary_unchanged(transport: Transport) {
    let server = transport.start();
    let mut client = server.open("/");
    client.send(text("Hello, world!"));
    assert_eq!(client.read_frame(), Frame::new(0x81, "Received: Hello, world!"));
    client.send(masked(0x82, [0, 255, 1]));
    assert_eq!(client.read_frame(), Frame::new(0x82, [0, 255, 1]));
    client.close();
}

#[test]
fn reply_prefix_is_an_option() {
    let server = TestServer::with(Config { reply_prefix: "Got ".into(), ..config() });
    let mut client = server.open("/");
    client.send(text("it"));
    assert_eq!(client.read_text(), "Got it");
}

fn other_paths_echo_verbatim(transport: Transport) {
    let server = transport.start();
    for path in ["/echo", "/whatever?x=1", "/%41"] {
        let mut client = server.open(path);
        for payload in ["Hello, world!", "", "grüße 👋"] {
            client.send(text(payload));
            assert_eq!(client.read_frame(), Frame::new(0x81, payload), "on {path}");
        }
        client.close();
    }
}

fn empty_messages_are_echoed_empty(transport: Transport) {
    let server = transport.start();
    let mut client = server.open("/echo");
    for first in [0x81, 0x82] {
        client.send(masked(first, ""));
        assert_eq!(client.read_frame(), Frame::new(first, ""));
    }
}

/// Large frames reach tungstenite as fragments, unless one of their size came before.
fn large_messages_are_echoed_whole_and_in_fragments(transport: Transport) {
    let server = transport.start();
    let mut client = server.open("/echo");
    let large = "grüße ".repeat(16 << 20 >> 3);
    for text in [&large[..300_000], &large[..1 << 20], &large[..1 << 20], &large] {
        client.send(masked(0x81, text));
        assert!(client.read_frame() == Frame::new(0x81, text), "{} bytes", text.len());
        let (start, end) = text.as_bytes().split_at(text.len() / 2 + 1);
        client.send([masked(0x01, start), masked(0x89, "p"), masked(0x80, end)].concat());
        assert_eq!(client.read_frame(), Frame::new(0x8a, "p"));
        assert!(client.read_frame() == Frame::new(0x81, text), "{} bytes in fragments", text.len());
    }
    let mut wrong = large.into_bytes();
    wrong.truncate(700_000);
    wrong[650_001] = 0xff;
    client.send(masked(0x81, wrong));
    assert_eq!(client.read_frame().code(), 1007);
}

fn message_of_any_size_is_echoed_in_one_frame(transport: Transport) {
    let server = transport.start();
    let mut client = server.open("/echo");
    for size in [1, 125, 126, 127, 4095, 4096, 16_383, 16_384, 32_768, 65_535, 65_536, 1 << 20] {
        let payload: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        client.send(masked(0x82, &payload));
        assert!(client.read_frame() == Frame::new(0x82, payload), "{size} bytes");
    }
    client.close();
}

fn ping_gets_a_pong_with_its_payload(transport: Transport) {
    let server = transport.start();
    let mut client = server.open("/echo");
    for payload in ["", "payload"] {
        client.send(masked(0x89, payload));
        assert_eq!(client.read_frame(), Frame::new(0x8a, payload));
    }
    client.send(masked(0x8a, "unsolicited"));
    client.send(text("still here"));
    assert_eq!(client.read_text(), "still here", "an unsolicited Pong gets no reply");
    client.close();
    let traffic = server.finish().traffic;
    assert_eq!((traffic.pings_in, traffic.pongs_in, traffic.messages_in), (2, 1, 1));
}

fn fragments_are_joined_and_a_ping_between_them_gets_its_pong_at_once(transport: Transport) {
    let server = transport.start();
    let mut client = server.open("/echo");
    client.send(masked(0x01, "one, "));
    client.send(masked(0x89, "between"));
    assert_eq!(client.read_frame(), Frame::new(0x8a, "between"));
    client.send(masked(0x00, "two, "));
    client.send(masked(0x80, "three"));
    assert_eq!(client.read_frame(), Frame::new(0x81, "one, two, three"));
}

fn burst_is_echoed_in_order(transport: Transport) {
    let server = transport.start();
    let mut client = server.open("/echo");
    let burst: Vec<u8> = (0..1000).flat_map(|n| text(&format!("message {n}"))).collect();
    client.send(burst);
    for n in 0..1000 {
        assert_eq!(client.read_text(), format!("message {n}"));
    }
    client.close();
    let totals = server.finish();
    assert_eq!((totals.traffic.messages_in, totals.traffic.messages_out, totals.clean), (1000, 1000, 1));
}

#[test]
fn tungstenite_client_is_served() {
    let server = TestServer::start();
    let (mut socket, _) = tungstenite::connect(format!("ws://{}/", server.address)).unwrap();
    socket.send("Hello, world!".into()).unwrap();
    assert_eq!(socket.read().unwrap().to_text().unwrap(), "Received: Hello, world!");
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
    assert_eq!(server.finish().totals.clean, 1);
}
