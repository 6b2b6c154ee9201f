//! What goes out when, seen from the other end of a connection.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::SockRef;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::frame_writer::*;
use super::record_layer::RecordLayer;
use super::write_queue::{FLUSH_THRESHOLD, single_frame_header};

/// Bytes of the header of a frame whose payload is longer than 65,535 (RFC 6455, 5.2).
const HEADER: usize = 10;

/// An outbox after its handshake, and its peer.
fn pair() -> (FrameWriter, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let writer = FrameWriter::new(listener.accept().unwrap().0, RecordLayer::Plain);
    writer.send_upgrade(b"").unwrap();
    (writer, peer)
}

/// Sends a binary message of that length.
fn send(writer: &FrameWriter, length: usize, more: bool) {
    assert!(
        writer.send(&single_frame_header(OpCode::Data(Data::Binary)), b"", &vec![7; length], more).unwrap()
    );
}

/// Asserts that so many bytes are sent and no more; returns them.
fn expect(peer: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    peer.read_exact(&mut bytes).unwrap();
    peer.set_nonblocking(true).unwrap();
    assert_eq!(peer.peek(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    peer.set_nonblocking(false).unwrap();
    bytes
}

/// The length of a message whose frame ends that many bytes behind a whole segment.
fn length_over_a_segment(writer: &FrameWriter, over: usize) -> usize {
    let segment = usize::try_from(SockRef::from(writer.socket()).tcp_mss().unwrap()).unwrap();
    segment * 70_000_usize.div_ceil(segment) + over - HEADER
}

#[test]
fn the_beginning_of_a_segment_waits_for_what_follows() {
    let (writer, mut peer) = pair();
    let length = length_over_a_segment(&writer, 63);
    send(&writer, length, true);
    expect(&mut peer, HEADER + length - 63);
    send(&writer, 3, false);
    expect(&mut peer, 0);
    writer.flush().unwrap();
    assert_eq!(expect(&mut peer, 63 + 2 + 3)[62..], [7, 0x82, 3, 7, 7, 7]);
}

/// Asserts that a message whose frame ends so many bytes behind a whole segment goes out at once.
fn goes_out_whole(over: usize, more: bool) {
    let (writer, mut peer) = pair();
    let length = length_over_a_segment(&writer, over);
    send(&writer, length, more);
    expect(&mut peer, HEADER + length);
}

#[test]
fn a_large_message_that_nothing_follows_goes_out_whole() {
    goes_out_whole(63, false);
}

#[test]
fn what_is_too_much_to_copy_does_not_wait() {
    goes_out_whole(3000, true);
}

#[test]
fn large_messages_gather_as_well_while_more_follows_and_they_fit() {
    let (writer, mut peer) = pair();
    (0..2).for_each(|_| send(&writer, DIRECT_WRITE_MIN, true));
    expect(&mut peer, 0);
    send(&writer, DIRECT_WRITE_MIN, false);
    expect(&mut peer, 3 * (4 + DIRECT_WRITE_MIN));
}

#[test]
fn pongs_are_bounded_like_everything_that_gathers() {
    let (writer, mut peer) = pair();
    let pong = [0x8a, 4, 1, 2, 3, 4];
    let most = FLUSH_THRESHOLD / pong.len();
    (0..most).for_each(|_| writer.write_raw_frame(&pong).unwrap());
    expect(&mut peer, 0);
    writer.write_raw_frame(&pong).unwrap();
    expect(&mut peer, (most + 1) * pong.len());
}
