//! Tests what a [`FrameWriter`] sends and when, seen from the peer.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::frame_writer::*;
use super::push::Pushed;
use super::record_layer::RecordLayer;
use super::write_queue::{FLUSH_THRESHOLD, single_frame_header};
use crate::platform::memory_budget::MemoryBudget;

/// Length of the header of a frame with a payload of more than 65,535 bytes (RFC 6455, 5.2).
const LONG_HEADER: usize = 10;

/// Returns a frame writer after the handshake, and its peer.
fn writer_and_peer() -> (FrameWriter, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (socket, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let writer = FrameWriter::new(socket.into(), RecordLayer::Plain, &MemoryBudget::new(usize::MAX));
    writer.queue_upgrade(b"").unwrap();
    (writer, peer)
}

/// Sends a binary message of `length` bytes.
fn send(writer: &FrameWriter, length: usize, more_follows: bool) {
    let header = single_frame_header(OpCode::Data(Data::Binary));
    assert!(writer.send(&header, b"", &vec![7; length].into(), more_follows).unwrap());
}

/// Asserts that the peer receives exactly `length` bytes; returns them.
fn expect(peer: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    peer.read_exact(&mut bytes).unwrap();
    peer.set_nonblocking(true).unwrap();
    assert_eq!(peer.peek(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    peer.set_nonblocking(false).unwrap();
    bytes
}

#[test]
fn large_message_that_does_not_fit_is_sent_whole() {
    for more_follows in [false, true] {
        let (writer, mut peer) = writer_and_peer();
        let length = FLUSH_THRESHOLD + (16 << 10);
        send(&writer, 5, true);
        send(&writer, length, more_follows);
        expect(&mut peer, 2 + 5 + LONG_HEADER + length);
    }
}

#[test]
fn send_queues_large_messages_that_fit_if_more_follows() {
    let (writer, mut peer) = writer_and_peer();
    (0..2).for_each(|_| send(&writer, DIRECT_WRITE_MIN, true));
    expect(&mut peer, 0);
    send(&writer, DIRECT_WRITE_MIN, false);
    expect(&mut peer, 3 * (4 + DIRECT_WRITE_MIN));
}

#[test]
fn raw_frames_are_sent_above_the_flush_threshold() {
    let (writer, mut peer) = writer_and_peer();
    let pong = [0x8a, 4, 1, 2, 3, 4];
    let queued = FLUSH_THRESHOLD / pong.len();
    (0..queued).for_each(|_| writer.write_raw_frame(&pong).unwrap());
    expect(&mut peer, 0);
    writer.write_raw_frame(&pong).unwrap();
    expect(&mut peer, (queued + 1) * pong.len());
}

#[test]
fn send_keeps_what_the_kernel_does_not_take_and_flush_sends_it_in_order() {
    let (writer, mut peer) = writer_and_peer();
    let length = 8 << 20;
    send(&writer, length, false);
    assert!(writer.has_unsent());
    send(&writer, 1, false);
    assert!(writer.close(1000, "").unwrap());
    assert!(!writer.close(1000, "").unwrap(), "nothing follows a Close");
    let mut received = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    let expected = LONG_HEADER + length + 3 + 4;
    while received.len() < expected {
        writer.flush().unwrap();
        let n = peer.read(&mut buffer).unwrap();
        received.extend_from_slice(&buffer[..n]);
    }
    assert!(received[LONG_HEADER..LONG_HEADER + length].iter().all(|byte| *byte == 7));
    assert_eq!(received[LONG_HEADER + length..], [0x82, 1, 7, 0x88, 2, 3, 0xe8]);
    assert!(writer.flush().unwrap() && !writer.has_unsent());
}

#[test]
fn push_tells_once_that_the_socket_has_no_room() {
    let (writer, _peer) = writer_and_peer();
    let header = single_frame_header(OpCode::Data(Data::Binary));
    let payload = vec![7; 200 << 10].into();
    let outcomes: Vec<_> = (0..100).map(|_| writer.push(&header, &payload).unwrap()).collect();
    let count = |outcome| outcomes.iter().filter(|other| **other == outcome).count();
    assert_eq!((count(Pushed::Blocked), count(Pushed::Closed)), (1, 0), "{outcomes:?}");
    assert_eq!(outcomes.last(), Some(&Pushed::Full));
    assert!(writer.queued_bytes() <= 256 << 10, "{}", writer.queued_bytes());
}
