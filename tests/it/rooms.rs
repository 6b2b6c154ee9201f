//! `/broadcast`: a message of one client is sent to all members of its room.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::harness::{Client, Frame, TEST_TIMEOUT, TestServer, config, masked, metric, text};
use ws_echo::Config;

/// Joins a room. The client has joined when its own message comes back.
fn join(server: &TestServer, room: &str) -> Client {
    let mut client = server.open(&format!("/broadcast?room={room}"));
    client.send(text("here"));
    assert_eq!(client.read_text(), "here");
    client
}

#[test]
fn broadcast_reaches_every_member_of_the_room_only() {
    let server = TestServer::start();
    let mut first = join(&server, "a");
    let mut other = join(&server, "b");
    let mut second = join(&server, "a");
    assert_eq!(first.read_text(), "here");
    second.send(masked(0x82, [1, 2, 3]));
    assert_eq!(first.read_frame(), Frame::new(0x82, [1, 2, 3]));
    assert_eq!(second.read_frame(), Frame::new(0x82, [1, 2, 3]));
    other.send(text("only here"));
    assert_eq!(other.read_text(), "only here");
    second.close();
    // The room continues without the member that left.
    first.send(text("after one left"));
    assert_eq!(first.read_text(), "after one left");
    first.close();
}

#[test]
fn broadcast_order_is_the_same_for_all_members() {
    let server = TestServer::start();
    let mut clients: Vec<Client> = (0..4).map(|_| server.open("/broadcast")).collect();
    for client in &mut clients {
        client.send(text("here"));
    }
    let count = 200;
    std::thread::scope(|scope| {
        for (id, client) in clients.iter().enumerate() {
            let mut feed = client.stream.try_clone().unwrap();
            scope.spawn(move || {
                for n in 0..count {
                    feed.write_all(&text(&format!("{id}:{n}"))).unwrap();
                }
            });
        }
    });
    let seen: Vec<Vec<String>> = clients
        .iter_mut()
        .map(|client| {
            let mut seen = Vec::new();
            while seen.len() < 4 * count {
                let message = client.read_text();
                if message != "here" {
                    seen.push(message);
                }
            }
            seen
        })
        .collect();
    for other in &seen[1..] {
        assert_eq!(other, &seen[0]);
    }
}

/// Reads up to the Close that a member gets which reads too slowly. Returns the number of messages before it.
pub fn read_to_eviction(slow: &mut Client) -> usize {
    let mut received = 0;
    loop {
        let frame = slow.read_frame();
        if frame.first == 0x88 {
            assert_eq!(frame, Frame::close(1013, "you read too slowly for this room"));
            return received;
        }
        received += 1;
    }
}

#[test]
fn broadcast_evicts_a_slow_member_only() {
    let server = TestServer::with(Config { write_timeout: Duration::from_mins(10), ..config() });
    let mut sender = join(&server, "slow");
    let mut slow = join(&server, "slow");
    assert_eq!(sender.read_text(), "here");
    let message = masked(0x82, vec![7; 100_000]);
    // The slow member does not read. These are 20 MB, more than its socket and its queue hold.
    let sent = 200;
    for n in 0..sent {
        sender.send(&message);
        assert!(sender.read_frame() == Frame::new(0x82, vec![7; 100_000]), "message {n}");
    }
    sender.send(text("still here"));
    assert_eq!(sender.read_text(), "still here");
    slow.stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    assert!(read_to_eviction(&mut slow) < sent, "the slow member received all {sent} messages");
    slow.send(masked(0x88, 1013_u16.to_be_bytes()));
    slow.expect_end();
    sender.close();
    let closed = server.finish().totals.closed;
    assert_eq!(closed.get(&("server", 1013)), Some(&1), "{closed:?}");
}

#[test]
fn broadcast_of_large_messages_does_not_wait_for_the_supervisor() {
    let server = TestServer::start();
    let mut sender = join(&server, "large");
    let mut listener = join(&server, "large");
    sender.read_text();
    let payload = vec![1; 1 << 20];
    let since = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(listener.read_frame() == Frame::new(0x82, &payload)));
        sender.send(masked(0x82, &payload));
        assert!(sender.read_frame() == Frame::new(0x82, &payload));
    });
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    listener.close();
}

#[test]
fn broadcast_message_over_the_room_limit_closes_with_1009() {
    let server = TestServer::start();
    let mut sender = join(&server, "small");
    sender.send(masked(0x82, vec![1; (1 << 20) + 1]));
    assert_eq!(sender.read_frame(), Frame::close(1009, "message exceeds 1 MiB, the limit of a room"));
}

#[test]
fn broadcast_messages_before_a_close_reach_all_members_and_the_sender() {
    let server = TestServer::start();
    let mut member = join(&server, "bye");
    for (last, code) in [(masked(0x88, 1000_u16.to_be_bytes()), 1000), (masked(0xf1, "reserved bits"), 1002)]
    {
        let mut sender = join(&server, "bye");
        assert_eq!(member.read_text(), "here");
        sender.send([text("one"), masked(0x82, "two"), last].concat());
        for client in [&mut sender, &mut member] {
            assert_eq!(client.read_text(), "one");
            assert_eq!(client.read_frame(), Frame::new(0x82, "two"));
        }
        assert_eq!(sender.read_frame().code(), code);
    }
}

/// Connects with small buffers, so that few messages fill them.
pub fn open_small(address: SocketAddr, path: &str) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    Client { stream }.open(path)
}

#[test]
fn broadcast_bytes_that_a_socket_did_not_take_are_sent_when_it_has_room() {
    // The metrics are brought up to date every 20 ms.
    let server = TestServer::with(Config { close_timeout: Duration::from_millis(100), ..config() });
    let mut sender = join(&server, "quiet");
    let mut late = open_small(server.address, "/broadcast?room=quiet");
    late.send(text("here"));
    assert_eq!(late.read_text(), "here");
    assert_eq!(sender.read_text(), "here");
    let mut sent = 0;
    // Unsent bytes are counted from 8 KiB on.
    while metric(server.address, "ws_echo_memory_used_bytes") == 0 {
        assert!(sent < 10_000, "the socket takes everything");
        sender.send(masked(0x82, vec![7; 1000]));
        assert_eq!(sender.read_frame().payload.len(), 1000);
        sent += 1;
    }
    // No session but the late one has anything to do from here on.
    sender.close();
    for n in 0..sent {
        assert!(late.read_frame() == Frame::new(0x82, vec![7; 1000]), "message {n} of {sent}");
    }
    late.send(text("alone"));
    assert_eq!(late.read_text(), "alone");
    late.close();
}

#[test]
fn broadcast_burst_reaches_healthy_members_in_order_beside_members_that_never_read() {
    let (healthy, mute, count, burst) = (60, 20, 1000, 16);
    let server = TestServer::with(Config { connections: 100, ..config() });
    let mut members: Vec<_> = (0..healthy).map(|_| server.open("/broadcast?room=burst")).collect();
    let mutes: Vec<_> = (0..mute).map(|_| open_small(server.address, "/broadcast?room=burst")).collect();
    let (sender, receivers) = members.split_first_mut().unwrap();
    let payload = |n: usize| format!("{n:0100}");
    std::thread::scope(|scope| {
        for receiver in receivers {
            scope.spawn(move || (0..count).for_each(|n| assert_eq!(receiver.read_text(), payload(n))));
        }
        for first in (0..count).step_by(burst) {
            let numbers = first..count.min(first + burst);
            sender.send(numbers.clone().flat_map(|n| text(&payload(n))).collect::<Vec<_>>());
            numbers.for_each(|n| assert_eq!(sender.read_text(), payload(n)));
        }
    });
    drop(mutes);
}
