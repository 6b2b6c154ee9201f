//! The loss of Redis while instances run.

use super::rooms::{instances, join, until};
use super::server::RedisServer;
use crate::harness::{Client, Frame, eventually, metric, text};
use crate::server_process::ServerProcess;

pub const LOST: &str = "the connection to the other instances was lost; connect again";
const NOT_PUBLISHED: &str = "your last messages may not have reached the room; send them again";

/// Waits until an instance has both connections, or has lost one.
pub fn wait_until_connected(server: &ServerProcess, connected: u64) {
    eventually("the state of the connection", || {
        metric(server.address, "ws_echo_rooms_connected") == connected
    });
}

/// Joins a room, and waits until Redis has confirmed the message of the client: without that, its loss would
/// close the client with 1013.
fn join_and_settle(server: &ServerProcess, room: &str) -> Client {
    let client = join(server, room);
    eventually("the message is confirmed", || metric(server.address, "ws_echo_rooms_published_total") == 1);
    client
}

pub fn read_close(client: &mut Client) -> Frame {
    std::iter::repeat_with(|| client.read_frame()).find(|frame| frame.first == 0x88).unwrap()
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_that_is_lost_closes_the_members_with_1012() {
    let redis = RedisServer::start();
    let servers = instances(&redis, &["--rooms-lost", "close"]);
    let mut members = [join_and_settle(&servers[0], "a"), join_and_settle(&servers[1], "b")];
    let address = redis.kill();
    for member in &mut members {
        assert_eq!(read_close(member), Frame::close(1012, LOST));
    }
    for server in &servers {
        wait_until_connected(server, 0);
        // One that joins meanwhile.
        let mut late = server.open("/broadcast?room=a");
        assert_eq!(late.read_frame(), Frame::close(1012, LOST));
        // Other endpoints do not need Redis.
        let mut other = server.open("/echo");
        other.send(text("still here"));
        assert_eq!(other.read_text(), "still here");
    }
    let _redis = RedisServer::on(address, &[]);
    for server in &servers {
        wait_until_connected(server, 1);
    }
    let (mut first, mut second) = (join(&servers[0], "a"), join(&servers[1], "a"));
    second.send(text("again"));
    until(&mut first, "again");
    until(&mut second, "again");
    for server in &servers {
        assert_eq!(metric(server.address, "ws_echo_rooms_reconnects_total"), 2);
        assert_eq!(metric(server.address, "ws_echo_rooms_interrupted_members_total"), 0);
    }
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_that_is_lost_lets_members_wait_and_closes_senders_with_1013() {
    let redis = RedisServer::start();
    let servers = instances(&redis, &["--rooms-lost", "wait"]);
    let (mut waiting, mut sender) = (join_and_settle(&servers[0], "a"), join_and_settle(&servers[1], "a"));
    until(&mut waiting, "here");
    let address = redis.kill();
    for server in &servers {
        wait_until_connected(server, 0);
    }
    sender.send(text("lost"));
    assert_eq!(read_close(&mut sender), Frame::close(1013, NOT_PUBLISHED));
    let mut late = servers[1].open("/broadcast?room=a");
    eventually("the message is counted", || metric(servers[1].address, "ws_echo_rooms_failed_total") == 1);
    let _redis = RedisServer::on(address, &[]);
    for server in &servers {
        wait_until_connected(server, 1);
    }
    late.send(text("again"));
    assert_eq!(waiting.read_text(), "again");
    assert_eq!(late.read_text(), "again");
    waiting.send(text("and back"));
    assert_eq!(late.read_text(), "and back");
    for server in &servers {
        assert_eq!(metric(server.address, "ws_echo_rooms_interrupted_members_total"), 1);
    }
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_that_does_not_reply_closes_the_sender_with_1013() {
    let redis = RedisServer::start();
    let servers = instances(&redis, &["--rooms-lost", "wait"]);
    let mut sender = join(&servers[0], "a");
    redis.signal("STOP");
    // The reply does not come within 5 s.
    sender.send(text("unknown"));
    assert_eq!(sender.read_frame(), Frame::close(1013, NOT_PUBLISHED));
    redis.signal("CONT");
    join_or_retry(&servers[0]).close();
    eventually("a new connection", || metric(servers[0].address, "ws_echo_rooms_reconnects_total") > 0);
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_that_drops_the_subscriber_alone_closes_the_members_of_that_instance() {
    let redis = RedisServer::start();
    let servers = instances(&redis, &[]);
    let mut member = join_and_settle(&servers[0], "a");
    assert_eq!(redis.command(&[b"CLIENT", b"KILL", b"TYPE", b"pubsub"]), ["2"]);
    assert_eq!(read_close(&mut member), Frame::close(1012, LOST));
    join_or_retry(&servers[0]).close();
    eventually("a new connection", || metric(servers[0].address, "ws_echo_rooms_reconnects_total") == 1);
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_that_drops_the_publisher_alone_keeps_the_members() {
    let redis = RedisServer::start();
    let servers = instances(&redis, &[]);
    let mut member = join_and_settle(&servers[0], "a");
    redis.command(&[b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes"]);
    let mut sender = join_or_retry(&servers[1]);
    sender.send(text("through"));
    until(&mut member, "through");
    assert_eq!(metric(servers[0].address, "ws_echo_rooms_interrupted_members_total"), 0);
}

/// Joins with as many attempts as it takes: a sender is closed with 1013 if its message may be lost. Skips
/// what others have sent.
fn join_or_retry(server: &ServerProcess) -> Client {
    loop {
        let mut client = server.open("/broadcast?room=a");
        client.send(text("here"));
        let end = loop {
            let frame = client.read_frame();
            match frame.first {
                0x81 if frame.payload == b"here" => return client,
                0x81 => {}
                _ => break frame,
            }
        };
        assert!([1012, 1013].contains(&end.code()), "{end:?}");
    }
}
