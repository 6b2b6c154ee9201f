//! Endpoints that break the protocol on request, byte for byte.

use std::io::{ErrorKind, Read};

use crate::harness::{Frame, TestServer, masked, text};
use crate::transports::Transport;

#[test]
fn close_endpoint_sends_its_code_and_reason_after_count_echoes() {
    let server = TestServer::start();
    let mut client = server.open("/close?code=4001&reason=bye%20bye&after=2");
    client.send([text("one"), text("two"), text("three")].concat());
    assert_eq!((client.read_text(), client.read_text()), ("one".into(), "two".into()));
    assert_eq!(client.read_frame(), Frame::close(4001, "bye bye"));
    client.send(masked(0x88, 4001_u16.to_be_bytes()));
    client.expect_end();
    let mut client = server.open("/close");
    assert_eq!(client.read_frame(), Frame::close(1000, ""));
    drop(client);
    // Private close codes are counted together, under the last of them.
    assert_eq!(server.finish().totals.closed[&("server", 4999)], 1);
}

#[test]
fn close_endpoint_sends_a_forbidden_code_when_forced() {
    let server = TestServer::start();
    for code in [0, 999, 1005, 1006, 1015, 2999, 65_535] {
        let mut client = server.open(&format!("/close?code={code}&force=1"));
        assert_eq!(client.read_frame(), Frame::close(code, ""));
    }
}

#[test]
fn drop_endpoint_ends_the_stream_without_a_close() {
    let server = TestServer::start();
    let mut client = server.open("/drop?after=1&how=fin");
    client.send(text("last"));
    assert_eq!(client.read_text(), "last");
    client.expect_end();
    drop(client);
    let mut client = server.open("/drop");
    client.expect_end();
    drop(client);
    assert_eq!(server.finish().totals.closed[&("dropped", 1006)], 2);
}

#[test]
fn drop_endpoint_can_reset_the_connection() {
    let server = TestServer::start();
    let mut client = server.open("/drop?after=1&how=rst");
    client.send(text("last"));
    assert_eq!(client.read_text(), "last");
    let error = client.stream.read(&mut [0]).expect_err("an end of stream and no reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn silent_endpoint_sends_pongs_unless_turned_off_and_always_a_close() {
    let server = TestServer::start();
    let mut client = server.open("/silent");
    client.send([text("no reply"), masked(0x89, "ping")].concat());
    assert_eq!(client.read_frame(), Frame::new(0x8a, "ping"));
    client.close();
    let mut client = server.open("/silent?pong=0");
    client.send([text("no reply"), masked(0x89, "ping")].concat());
    client.close();
    assert_eq!(server.finish().totals.traffic.messages_in, 2);
}

#[test]
fn fragment_endpoint_splits_echoes_and_sends_pings_between() {
    let server = TestServer::start();
    let mut client = server.open("/fragment?size=4&ping=1");
    client.send(text("Hello, wörld"));
    let bytes = "Hello, wörld".as_bytes();
    for (first, part) in [(0x01, &bytes[..4]), (0x00, &bytes[4..8]), (0x00, &bytes[8..12])] {
        assert_eq!(client.read_frame(), Frame::new(first, part));
        assert_eq!(client.read_frame(), Frame::new(0x89, ""));
    }
    assert_eq!(client.read_frame(), Frame::new(0x80, &bytes[12..]));
    client.close();
    let mut client = server.open("/fragment?size=4");
    for (payload, frames) in [("", 1), ("1234", 1), ("12345678", 2)] {
        client.send(masked(0x82, payload));
        let parts: Vec<Frame> = (0..frames).map(|_| client.read_frame()).collect();
        assert_eq!(parts[0].first & 0x0f, 0x02, "{parts:?}");
        assert_eq!(parts[frames - 1].first & 0x80, 0x80, "{parts:?}");
        assert_eq!(parts.concat_payload(), payload.as_bytes());
    }
    client.close();
    assert_eq!(server.finish().totals.traffic.messages_out, 4);
}

trait Payloads {
    fn concat_payload(&self) -> Vec<u8>;
}

impl Payloads for Vec<Frame> {
    fn concat_payload(&self) -> Vec<u8> {
        self.iter().flat_map(|frame| frame.payload.clone()).collect()
    }
}

#[test]
fn invalid_endpoint_sends_the_frame_unchanged() {
    let server = TestServer::start();
    for (kind, wire) in [
        ("utf8", &b"\x81\x05He\xc3lo"[..]),
        ("rsv", b"\xa1\x05Hello"),
        ("opcode", b"\x83\x05Hello"),
        ("mask", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ("length", b"\x81\x7e\x00\x05Hello"),
        ("control", b"\x09\x05Hello"),
        ("continuation", b"\x80\x05Hello"),
    ] {
        let mut client = server.open(&format!("/invalid?kind={kind}&after=1"));
        client.send(text("echo"));
        assert_eq!(client.read_text(), "echo");
        let mut bytes = vec![0; wire.len()];
        client.stream.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, wire, "{kind}");
        // A client that ignores the frame can still close cleanly.
        client.close();
    }
}

#[test]
fn invalid_endpoint_frames_are_rejected_by_tungstenite() {
    let server = TestServer::start();
    for kind in ["utf8", "rsv", "opcode", "mask", "control", "continuation", "length"] {
        let url = format!("ws://{}/invalid?kind={kind}", server.address);
        let (mut socket, _) = tungstenite::connect(url).unwrap();
        let received = socket.read();
        // tungstenite accepts a length that is encoded in too many bytes.
        assert_eq!(received.is_err(), kind != "length", "{kind}: {received:?}");
    }
}

#[test]
fn tls_fault_endpoints_work() {
    let tls = Transport::Tls.start();
    let mut client = tls.open("/drop?after=1&how=rst");
    client.send(text("last"));
    assert_eq!(client.read_text(), "last");
    let error = client.stream.read(&mut [0]).expect_err("an end of stream and no reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut client = tls.open("/drop?after=1&how=fin");
    client.send(text("last"));
    assert_eq!(client.read_text(), "last");
    client.expect_end();
    let mut client = tls.open("/invalid?kind=opcode");
    assert_eq!(client.read_frame(), Frame::new(0x83, "Hello"));
    let mut client = tls.open("/info");
    let seen = client.read_text();
    assert!(seen.contains("TLSv1.3"), "{seen}");
}
