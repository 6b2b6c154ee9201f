//! permessage-deflate (RFC 7692): negotiation and compressed echoes.

use flate2::{Compress, Compression, FlushCompress};
use ws_echo::Config;

use crate::deflate_client::{
    ACCEPTED, BINARY, OFFER, TEXT, deflated, deflated_at, inflated, offer, open, read_inflated,
};
use crate::harness::{Frame, TestServer, config, exchange, masked, request, text};
use crate::random::noise;

#[test]
fn deflate_accepts_the_first_acceptable_offer() {
    let server = TestServer::start();
    let window = |bits: u8| format!("{ACCEPTED}; server_max_window_bits={bits}");
    for (offers, expected) in [
        (&["permessage-deflate"][..], Some(ACCEPTED.to_owned())),
        (&["permessage-deflate; client_max_window_bits"], Some(ACCEPTED.to_owned())),
        (
            &["permessage-deflate; client_max_window_bits=8; server_no_context_takeover"],
            Some(ACCEPTED.into()),
        ),
        (&["permessage-deflate;server_max_window_bits=\"10\""], Some(window(10))),
        (&["permessage-deflate; server_max_window_bits=8, permessage-deflate"], Some(ACCEPTED.to_owned())),
        (&["permessage-deflate; server_max_window_bits=8"], None),
        (&["x-other; a=1", "permessage-deflate; server_max_window_bits=15"], Some(window(15))),
        (&["permessage-deflate; mystery", "permessage-deflate; server_max_window_bits=9"], Some(window(9))),
        (&["permessage-deflate; client_no_context_takeover; client_no_context_takeover"], None),
        (&["permessage-deflate; client_max_window_bits=16"], None),
        (&["x-webkit-deflate-frame"], None),
        (&[], None),
    ] {
        let (mut client, accepted) = offer(server.connect(), "/echo", offers);
        assert_eq!(accepted, expected, "{offers:?}");
        client.send(text("after all"));
        assert_eq!(client.read_text(), "after all");
        client.close();
    }
}

#[test]
fn deflate_malformed_offer_is_400() {
    let server = TestServer::start();
    for line in ["permessage-deflate; =", "permessage deflate", "permessage-deflate; a=\"", ";"] {
        let response = exchange(server.address, request("/echo", &[("Sec-WebSocket-Extensions", line)]));
        assert!(response.starts_with("HTTP/1.1 400 "), "{line}: {response}");
        assert!(response.contains("Sec-WebSocket-Extensions"), "{response}");
    }
}

#[test]
fn deflate_turned_off_declines_offers_and_closes_rsv1_with_1002() {
    let server = TestServer::with(Config { deflate: None, ..config() });
    for offers in [&[OFFER][..], &[]] {
        let (mut client, agreed) = offer(server.connect(), "/echo", offers);
        assert_eq!(agreed, None);
        client.send([text("plain"), masked(TEXT, deflated("compressed"))].concat());
        assert_eq!(client.read_text(), "plain");
        assert_eq!(client.read_frame().code(), 1002);
        client.expect_end();
    }
}

#[test]
fn deflate_replies_are_compressed_if_the_message_was() {
    let server = TestServer::start();
    let mut client = open(&server, "/echo");
    let large = "[0,1,2,3] größer ".repeat(70_000);
    for message in ["", "a", "Hello", "žluťoučký kůň", &large] {
        for (first, payload) in [
            (TEXT, deflated(message)),
            (BINARY, deflated_at(0, message)),
            (0x81, message.as_bytes().to_vec()),
            (TEXT, deflated_at(9, message)),
            (0x82, message.as_bytes().to_vec()),
        ] {
            client.send(masked(first, payload));
            let echo = if first & 0x40 == 0 { client.read_frame() } else { read_inflated(&mut client) };
            assert!(echo == Frame::new(first, message), "{first:#x} of {} bytes: {echo:.99?}", message.len());
        }
    }
    client.close();
    let traffic = server.finish().totals.traffic;
    assert_eq!((traffic.messages_in, traffic.messages_out), (25, 25));
    assert_eq!(traffic.bytes_in, traffic.bytes_out, "counted as inflated, in and out");
}

#[test]
fn deflate_and_plain_messages_in_one_write_are_distinguished() {
    let server = TestServer::start();
    let mut client = open(&server, "/echo");
    let kinds = [(TEXT, true), (0x81, false), (0x82, false), (BINARY, true), (TEXT, true)];
    let mut wire = Vec::new();
    for n in 0..50 {
        let (first, compressed) = kinds[n % kinds.len()];
        let message = format!("message {n}");
        wire.extend(masked(first, if compressed { deflated(message) } else { message.into_bytes() }));
    }
    client.send(wire);
    for n in 0..50 {
        let (first, compressed) = kinds[n % kinds.len()];
        let echo = if compressed { read_inflated(&mut client) } else { client.read_frame() };
        assert_eq!(echo, Frame::new(first, format!("message {n}")));
    }
    client.close();
}

#[test]
fn deflate_message_in_fragments_is_joined_with_pings_between() {
    let server = TestServer::start();
    let mut client = open(&server, "/echo");
    let message = "in pieces, ".repeat(200);
    let payload = deflated(&message);
    for at in 0..payload.len() {
        let (start, end) = payload.split_at(at);
        client.send([masked(0x41, start), masked(0x89, "between"), masked(0x80, end)].concat());
        assert_eq!(client.read_frame(), Frame::new(0x8a, "between"));
        assert_eq!(read_inflated(&mut client), Frame::new(TEXT, &message), "split at {at}");
    }
    // A block that ends the stream, and fragments without a byte (sections 7.2.3.4 and 7.2.3.5).
    let mut ended = Vec::with_capacity(1000);
    let mut compress = Compress::new(Compression::fast(), false);
    compress.compress_vec(message.as_bytes(), &mut ended, FlushCompress::Finish).unwrap();
    ended.push(0x00);
    client.send([masked(0x42, ""), masked(0x00, ended), masked(0x00, ""), masked(0x80, "")].concat());
    assert_eq!(read_inflated(&mut client), Frame::new(BINARY, &message));
    client.close();
}

#[test]
fn deflate_root_reply_has_the_prefix_and_is_compressed() {
    let server = TestServer::start();
    let mut client = open(&server, "/");
    client.send(masked(TEXT, deflated("Hello")));
    assert_eq!(read_inflated(&mut client), Frame::new(TEXT, "Received: Hello"));
    client.send(text("Hello"));
    assert_eq!(client.read_text(), "Received: Hello");
    client.send(masked(BINARY, deflated([0, 255])));
    assert_eq!(read_inflated(&mut client), Frame::new(BINARY, [0, 255]));
    client.close();
}

/// A repetition after 600 bytes of noise fits a window of 1024 bytes and not one of 512.
#[test]
fn deflate_window_requested_by_the_client_is_used() {
    let server = TestServer::start();
    let message = noise(600, 7).repeat(2);
    for (bits, sizes) in [(9, 1100..1300), (10, 500..700), (15, 500..700)] {
        let offered = format!("{OFFER}; server_max_window_bits={bits}");
        let (mut client, _) = offer(server.connect(), "/echo", &[&offered]);
        client.send(masked(BINARY, deflated(&message)));
        let echo = client.read_frame();
        assert!(sizes.contains(&echo.payload.len()), "{bits} bits: {} bytes", echo.payload.len());
        assert_eq!(inflated(&echo.payload), message);
        client.close();
    }
}
