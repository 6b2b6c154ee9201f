//! A client that makes compressed messages itself, with flate2.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::DeflateDecoder;
use flate2::{Compress, Compression, FlushCompress};

use crate::harness::{Client, Frame, TestServer, request};

pub const OFFER: &str = "permessage-deflate";
pub const ACCEPTED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// First bytes of whole compressed messages: FIN, RSV1 and the opcode.
pub const TEXT: u8 = 0xc1;
pub const BINARY: u8 = 0xc2;

/// The end of a compressed message, which the sender removes and the receiver adds (RFC 7692, 7.2).
pub const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Compresses a message without context.
pub fn deflated_at(level: u32, message: impl AsRef<[u8]>) -> Vec<u8> {
    thread_local! {
        /// One for each level: creating one is far slower than using it.
        static COMPRESSORS: RefCell<BTreeMap<u32, Compress>> = const { RefCell::new(BTreeMap::new()) };
    }
    let message = message.as_ref();
    let mut payload = Vec::with_capacity(message.len() * 2 + 100);
    COMPRESSORS.with_borrow_mut(|compressors| {
        let make = || Compress::new(Compression::new(level), false);
        let compress = compressors.entry(level).or_insert_with(make);
        compress.reset();
        compress.compress_vec(message, &mut payload, FlushCompress::Sync).unwrap();
    });
    assert!(payload.ends_with(&TAIL) && payload.len() < payload.capacity());
    payload.truncate(payload.len() - TAIL.len());
    payload
}

pub fn deflated(message: impl AsRef<[u8]>) -> Vec<u8> {
    deflated_at(6, message)
}

/// Inflates a payload, which must be complete.
pub fn inflated(payload: &[u8]) -> Vec<u8> {
    // An empty final block, at which the decoder stops.
    let stream = [payload, &TAIL, &[0x03, 0x00]].concat();
    let mut message = Vec::new();
    DeflateDecoder::new(&stream[..]).read_to_end(&mut message).unwrap();
    message
}

/// Sends a handshake with these offers, a header line each. Returns the accepted extension.
pub fn offer(mut client: Client, path: &str, offers: &[&str]) -> (Client, Option<String>) {
    let lines: Vec<_> = offers.iter().map(|offer| ("Sec-WebSocket-Extensions", *offer)).collect();
    client.send(request(path, &lines));
    let head = client.read_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{offers:?}: {head}");
    let mut agreed = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("Sec-WebSocket-Extensions").then(|| value.to_owned())
    });
    let value = agreed.next();
    assert_eq!(agreed.next(), None, "one line at most");
    (client, value)
}

/// Opens a session with compression.
pub fn open(server: &TestServer, path: &str) -> Client {
    let (client, agreed) = offer(server.connect(), path, &[OFFER]);
    assert_eq!(agreed.as_deref(), Some(ACCEPTED));
    client
}

/// Reads a compressed message and inflates it.
pub fn read_inflated(client: &mut Client) -> Frame {
    let Frame { first, payload } = client.read_frame();
    assert!(first & 0x40 != 0, "not compressed: first byte {first:#x}, {} bytes", payload.len());
    Frame::new(first, inflated(&payload))
}
