//! What comes back, byte for byte.

use crate::harness::{Frame, TestServer, config, masked, text};
use ws_echo::Config;

#[test]
fn hello_world_is_received_on_the_root() {
    let server = TestServer::start();
    let mut client = server.open("/");
    client.send(text("Hello, world!"));
    assert_eq!(client.read_frame(), Frame::new(0x81, "Received: Hello, world!"));
    client.send(masked(0x82, [0, 255, 1]));
    assert_eq!(client.read_frame(), Frame::new(0x82, [0, 255, 1]), "binary comes back unchanged");
    client.close();
}

#[test]
fn the_words_in_front_are_an_option() {
    let server = TestServer::with(Config { reply_prefix: "Got ".into(), ..config() });
    let mut client = server.open("/");
    client.send(text("it"));
    assert_eq!(client.read_text(), "Got it");
}

#[test]
fn any_other_path_echoes_verbatim() {
    let server = TestServer::start();
    for path in ["/echo", "/whatever?x=1", "/%41"] {
        let mut client = server.open(path);
        for payload in ["Hello, world!", "", "grüße 👋"] {
            client.send(text(payload));
            assert_eq!(client.read_frame(), Frame::new(0x81, payload), "on {path}");
        }
        client.close();
    }
}

#[test]
fn an_empty_message_of_either_kind_comes_back_empty() {
    let server = TestServer::start();
    let mut client = server.open("/echo");
    for first in [0x81, 0x82] {
        client.send(masked(first, ""));
        assert_eq!(client.read_frame(), Frame::new(first, ""));
    }
}

#[test]
fn a_message_of_any_size_comes_back_in_one_frame() {
    let server = TestServer::start();
    let mut client = server.open("/echo");
    for size in [1, 125, 126, 127, 4095, 4096, 16_383, 16_384, 32_768, 65_535, 65_536, 1 << 20] {
        let payload: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        client.send(masked(0x82, &payload));
        assert!(client.read_frame() == Frame::new(0x82, payload), "{size} bytes");
    }
    client.close();
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    let server = TestServer::start();
    let mut client = server.open("/echo");
    for payload in ["", "payload"] {
        client.send(masked(0x89, payload));
        assert_eq!(client.read_frame(), Frame::new(0x8a, payload));
    }
    client.send(masked(0x8a, "unasked"));
    client.send(text("still here"));
    assert_eq!(client.read_text(), "still here", "an unasked Pong is not answered");
    client.close();
    let traffic = server.finish().totals.traffic;
    assert_eq!((traffic.pings_in, traffic.pongs_in, traffic.messages_in), (2, 1, 1));
}

#[test]
fn fragments_are_joined_and_a_ping_between_them_is_answered_at_once() {
    let server = TestServer::start();
    let mut client = server.open("/echo");
    client.send(masked(0x01, "one, "));
    client.send(masked(0x89, "between"));
    assert_eq!(client.read_frame(), Frame::new(0x8a, "between"));
    client.send(masked(0x00, "two, "));
    client.send(masked(0x80, "three"));
    assert_eq!(client.read_frame(), Frame::new(0x81, "one, two, three"));
}

#[test]
fn a_burst_is_answered_in_order_and_in_one_piece() {
    let server = TestServer::start();
    let mut client = server.open("/echo");
    let burst: Vec<u8> = (0..1000).flat_map(|n| text(&format!("message {n}"))).collect();
    client.send(burst);
    for n in 0..1000 {
        assert_eq!(client.read_text(), format!("message {n}"));
    }
    client.close();
    let summary = server.finish();
    assert_eq!((summary.totals.traffic.messages_in, summary.totals.traffic.messages_out), (1000, 1000));
    assert_eq!(summary.totals.clean, 1);
}

#[test]
fn a_client_nobody_here_wrote_is_served() {
    let server = TestServer::start();
    let (mut socket, _) = tungstenite::connect(format!("ws://{}/", server.address)).unwrap();
    socket.send("Hello, world!".into()).unwrap();
    assert_eq!(socket.read().unwrap().to_text().unwrap(), "Received: Hello, world!");
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
    assert_eq!(server.finish().totals.clean, 1);
}
