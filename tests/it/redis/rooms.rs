//! Messages between members of two instances.

use std::io::Write;
use std::thread;

use super::server::RedisServer;
use crate::harness::{Client, Frame, eventually, masked, metric, text};
use crate::rooms::read_to_eviction;
use crate::server_process::ServerProcess;

/// Starts two instances that share their rooms.
pub fn instances(redis: &RedisServer, options: &[&str]) -> [ServerProcess; 2] {
    ["web-1", "web-2"].map(|name| {
        // The metrics are brought up to date every 20 ms.
        let usual = ["--name", name, "--pong-timeout", "100ms"];
        ServerProcess::spawn(&mut redis.instance(&[&usual, options].concat()))
    })
}

/// Joins a room, and waits until a message of the client itself comes back.
pub fn join(server: &ServerProcess, room: &str) -> Client {
    let mut client = server.open(&format!("/broadcast?room={room}"));
    client.send(text("here"));
    until(&mut client, "here");
    client
}

/// Reads messages up to this one. Returns those before it.
pub fn until(client: &mut Client, last: &str) -> Vec<String> {
    let mut before = Vec::new();
    loop {
        match client.read_text() {
            message if message == last => return before,
            message => before.push(message),
        }
    }
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_order_is_the_same_for_all_members_of_both_instances() {
    let redis = RedisServer::start();
    assert_one_order(&instances(&redis, &[]));
}

/// Lets members of both instances send at once, and compares what each of them receives.
pub fn assert_one_order(servers: &[ServerProcess; 2]) {
    let (count, senders) = (300, 4);
    let mut clients: Vec<_> = (0..senders).map(|n| join(&servers[n % 2], "order")).collect();
    // Every member has joined when this message has reached it.
    clients[0].send(text("begin"));
    for client in &mut clients {
        until(client, "begin");
    }
    thread::scope(|scope| {
        for (id, client) in clients.iter().enumerate() {
            let mut feed = client.stream.try_clone().unwrap();
            scope.spawn(move || {
                for n in 0..count {
                    feed.write_all(&text(&format!("{id}:{n}"))).unwrap();
                }
            });
        }
    });
    let read = |client: &mut Client| (0..senders * count).map(|_| client.read_text()).collect::<Vec<_>>();
    let seen: Vec<_> = clients.iter_mut().map(read).collect();
    for other in &seen[1..] {
        assert_eq!(other, &seen[0]);
    }
    for id in 0..senders {
        let prefix = format!("{id}:");
        let own = seen[0].iter().filter_map(|message| message.strip_prefix(&prefix));
        assert!(own.eq((0..count).map(|n| n.to_string()).collect::<Vec<_>>().iter()), "sender {id}");
    }
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_messages_keep_their_kind_and_stay_in_their_room() {
    let redis = RedisServer::start();
    let [first, second] = instances(&redis, &[]);
    let (mut sender, mut other_room) = (join(&first, "a"), join(&second, "b"));
    let mut member = join(&second, "a");
    assert_eq!(sender.read_text(), "here");
    let large = vec![0xfe; 1 << 20];
    for (bytes, frame) in [
        (masked(0x82, [0xff, 0]), Frame::new(0x82, [0xff, 0])),
        (text("grüße"), Frame::new(0x81, "grüße")),
        (text(""), Frame::new(0x81, "")),
        (masked(0x82, &large), Frame::new(0x82, &large)),
    ] {
        sender.send(bytes);
        assert!(member.read_frame() == frame, "another frame than {:?}", frame.payload.len());
        assert!(sender.read_frame() == frame);
    }
    other_room.send(text("only here"));
    assert_eq!(other_room.read_text(), "only here");
    sender.send(masked(0x82, vec![1; (1 << 20) + 1]));
    assert_eq!(sender.read_frame().code(), 1009);
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_has_subscriptions_of_rooms_with_members_only() {
    let redis = RedisServer::start();
    let [first, _second] = instances(&redis, &[]);
    let rooms = || {
        let mut rooms = redis.command(&[b"PUBSUB", b"CHANNELS", b"ws-echo:room:*"]);
        rooms.sort();
        rooms
    };
    let (one, mut two) = (join(&first, "one"), join(&first, "two"));
    assert_eq!(rooms(), ["ws-echo:room:one", "ws-echo:room:two"]);
    one.close();
    eventually("the room without members has no subscription", || rooms() == ["ws-echo:room:two"]);
    // A room that is left and joined again and again.
    for _ in 0..100 {
        let mut again = join(&first, "again");
        again.send(text("more"));
        assert_eq!(again.read_text(), "more");
    }
    two.send(text("alone"));
    assert_eq!(two.read_text(), "alone");
    let received = || metric(first.address, "ws_echo_rooms_received_total");
    eventually("all messages are counted", || received() == 203);
    assert_eq!(metric(first.address, "ws_echo_rooms_published_total"), 203);
    assert_eq!(metric(first.address, "ws_echo_rooms_failed_total"), 0);
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_messages_of_other_programs_are_frames_or_ignored() {
    let redis = RedisServer::start();
    let [first, _second] = instances(&redis, &[]);
    let mut member = join(&first, "x");
    for payload in [&b"hello"[..], b"", b"\x81\x01\xff", b"\x88\x02\x03\xe8", b"\x81\x05hello\x82\x01\xff"] {
        assert_eq!(redis.command(&[b"PUBLISH", b"ws-echo:room:x", payload]), ["1"]);
    }
    assert_eq!(member.read_text(), "hello");
    assert_eq!(member.read_frame(), Frame::new(0x82, [0xff]));
    member.close();
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_slow_reader_of_another_instance_is_closed_alone() {
    let redis = RedisServer::start();
    let [first, second] = instances(&redis, &["--write-timeout", "10m"]);
    let (mut slow, mut sender) = (join(&second, "slow"), join(&first, "slow"));
    let payload = vec![7; 200_000];
    for n in 0..200 {
        sender.send(masked(0x82, &payload));
        assert!(sender.read_frame() == Frame::new(0x82, &payload), "message {n}");
    }
    assert_eq!(slow.read_text(), "here");
    assert!(read_to_eviction(&mut slow) < 200, "the slow member received all messages");
    sender.close();
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_gets_what_an_instance_has_received_before_it_stops() {
    let redis = RedisServer::start();
    let [first, second] = instances(&redis, &[]);
    let (mut sender, mut member) = (join(&first, "end"), join(&second, "end"));
    sender.send((0..2000).flat_map(|n| text(&n.to_string())).collect::<Vec<_>>());
    assert_eq!(member.read_text(), "0");
    first.signal("TERM");
    let (code, out, err) = first.wait();
    assert_eq!(code, Some(0), "{err}");
    let messages = out.lines().find_map(|line| line.trim().strip_prefix("messages "));
    let received: usize = messages.unwrap().split_whitespace().next().unwrap().parse().unwrap();
    for n in 1..received - 1 {
        assert_eq!(member.read_text(), n.to_string(), "of {received}");
    }
    assert!(out.contains(&format!("{received} published")), "{out}");
    // Nothing of the other instance follows.
    member.send(text("alone"));
    assert_eq!(member.read_text(), "alone");
}
