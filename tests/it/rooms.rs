//! `/broadcast`: what one client sends, everyone in the room gets.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::harness::{Client, Frame, PATIENCE, TestServer, config, masked, metric, text};
use ws_echo::Config;

/// Enters a room, and proves it: the echo of one's own message comes after the entry.
fn enter(server: &TestServer, room: &str) -> Client {
    let mut client = server.open(&format!("/broadcast?room={room}"));
    client.send(text("here"));
    assert_eq!(client.read_text(), "here");
    client
}

#[test]
fn everyone_in_the_room_and_nobody_else_gets_a_message() {
    let server = TestServer::start();
    let mut first = enter(&server, "a");
    let mut other = enter(&server, "b");
    let mut second = enter(&server, "a");
    assert_eq!(first.read_text(), "here");
    second.send(masked(0x82, [1, 2, 3]));
    assert_eq!(first.read_frame(), Frame::new(0x82, [1, 2, 3]));
    assert_eq!(second.read_frame(), Frame::new(0x82, [1, 2, 3]));
    other.send(text("only here"));
    assert_eq!(other.read_text(), "only here");
    second.close();
    // The room goes on without the one who left.
    first.send(text("anybody?"));
    assert_eq!(first.read_text(), "anybody?");
    first.close();
}

#[test]
fn all_members_see_the_same_order() {
    let server = TestServer::start();
    let mut clients: Vec<Client> = (0..4).map(|_| server.open("/broadcast")).collect();
    for client in &mut clients {
        client.send(text("here"));
    }
    // Each member has heard its own greeting, hence is in the room, and later ones follow.
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

#[test]
fn a_slow_reader_loses_its_place_and_not_the_others() {
    let server = TestServer::with(Config { write_timeout: Duration::from_mins(10), ..config() });
    let mut talker = enter(&server, "slow");
    let mut slow = enter(&server, "slow");
    assert_eq!(talker.read_text(), "here");
    let message = masked(0x82, vec![7; 100_000]);
    let since = Instant::now();
    let mut sent = 0;
    // The slow one does not read, until the server has had enough of it.
    while metric(server.address, "ws_echo_messages_sent_total") < 3 + 2 * sent {
        talker.send(&message);
        assert!(talker.read_frame() == Frame::new(0x82, vec![7; 100_000]));
        sent += 1;
        assert!(since.elapsed() < PATIENCE, "never lost its place, {sent} messages");
        if sent > 200 {
            break;
        }
    }
    talker.send(text("still here"));
    assert_eq!(talker.read_text(), "still here");
    slow.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut received = 0;
    let close = loop {
        let frame = slow.read_frame();
        if frame.first == 0x88 {
            break frame;
        }
        received += 1;
    };
    assert_eq!(close, Frame::close(1013, "you read too slowly for this room"));
    assert!(received < sent, "the slow one missed nothing of {sent}");
    slow.send(masked(0x88, 1013_u16.to_be_bytes()));
    slow.expect_end();
    talker.close();
    let closed = server.finish().totals.closed;
    assert_eq!(closed.get(&("server", 1013)), Some(&1), "{closed:?}");
}

#[test]
fn large_messages_do_not_wait_for_the_supervisor() {
    let server = TestServer::start();
    let mut talker = enter(&server, "large");
    let mut listener = enter(&server, "large");
    talker.read_text();
    let payload = vec![1; 1 << 20];
    let since = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(listener.read_frame() == Frame::new(0x82, &payload)));
        talker.send(masked(0x82, &payload));
        assert!(talker.read_frame() == Frame::new(0x82, &payload));
    });
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    listener.close();
}

#[test]
fn a_message_that_is_too_large_for_a_room_is_1009() {
    let server = TestServer::start();
    let mut talker = enter(&server, "small");
    talker.send(masked(0x82, vec![1; (1 << 20) + 1]));
    assert_eq!(talker.read_frame(), Frame::close(1009, "message exceeds 1 MiB, the limit of a room"));
}
