//! What may be wrong with a compressed message, and how it ends (RFC 7692, 6 and 7).

use std::fs;
use std::time::{Duration, Instant};

use ws_echo::Config;

use crate::binary::Process;
use crate::compression::{BINARY, OFFER, TAIL, TEXT, deflated, deflated_at, offer, open, read_inflated};
use crate::harness::{Client, Frame, PATIENCE, TestServer, config, masked};

/// 64 KiB that become 64 MiB.
fn bomb() -> Vec<u8> {
    let mut part = deflated_at(9, vec![0; 1 << 20]);
    part.extend(TAIL);
    let mut bomb = part.repeat(64);
    bomb.truncate(bomb.len() - TAIL.len());
    assert!((60_000..70_000).contains(&bomb.len()), "{} bytes", bomb.len());
    bomb
}

#[test]
fn rsv1_where_it_has_no_meaning_is_1002() {
    let server = TestServer::start();
    let faults = [
        ("a Ping", masked(0xc9, "")),
        ("a Pong", masked(0xca, "")),
        ("a Close", masked(0xc8, 1000_u16.to_be_bytes())),
        ("a continuation", [masked(0x41, deflated("x")), masked(0xc0, "")].concat()),
        ("a continuation of plain text", [masked(0x01, "x"), masked(0xc0, "")].concat()),
        ("a reserved opcode", masked(0xc3, "")),
        ("RSV2", masked(0xa1, "x")),
        ("RSV3 beside RSV1", masked(0xd1, deflated("x"))),
    ];
    for (fault, bytes) in faults {
        let mut client = open(&server, "/echo");
        client.send([masked(TEXT, deflated("owed")), bytes].concat());
        assert_eq!(read_inflated(&mut client), Frame::new(TEXT, "owed"), "{fault}");
        assert_eq!(client.read_frame().code(), 1002, "{fault}");
        client.expect_end();
    }
}

#[test]
fn what_does_not_inflate_is_1007() {
    let server = TestServer::start();
    let whole = deflated("the quick brown fox jumps over the lazy dog ".repeat(9));
    let faults = [
        ("a reserved block type", vec![0x07]),
        ("a distance before the start", vec![0x02, 0x02, 0x00]),
        ("a stored block with a false length", vec![0x00, 0x05, 0x00, 0x00, 0x00]),
        ("half a message", whole[..whole.len() / 2].to_vec()),
        ("no byte at all", Vec::new()),
        ("plain text", b"this was never compressed".to_vec()),
    ];
    for (fault, payload) in faults {
        let mut client = open(&server, "/echo");
        client.send([masked(BINARY, deflated("owed")), masked(BINARY, payload)].concat());
        assert_eq!(read_inflated(&mut client), Frame::new(BINARY, "owed"), "{fault}");
        assert_eq!(client.read_frame().code(), 1007, "{fault}");
        client.expect_end();
    }
}

#[test]
fn text_that_inflates_to_something_else_is_1007_and_binary_is_not() {
    let server = TestServer::start();
    let mut client = open(&server, "/echo");
    let latin1 = b"gr\xfc\xdfe";
    client.send([masked(BINARY, deflated(latin1)), masked(TEXT, deflated(latin1))].concat());
    assert_eq!(read_inflated(&mut client), Frame::new(BINARY, latin1));
    assert_eq!(client.read_frame().code(), 1007);
    client.expect_end();
    assert_eq!(server.finish().totals.closed[&("server", 1007)], 1);
}

#[test]
fn a_message_over_the_limit_once_inflated_is_1009_and_one_at_the_limit_is_not() {
    let server = TestServer::with(Config { max_message: 1000, ..config() });
    let mut client = open(&server, "/echo");
    for (size, owed) in [(1000, true), (1001, false)] {
        let message = "x".repeat(size);
        client.send(masked(TEXT, deflated(&message)));
        if owed {
            assert_eq!(read_inflated(&mut client), Frame::new(TEXT, message));
        }
    }
    assert_eq!(client.read_frame().code(), 1009);
    client.expect_end();
}

/// The time is a promise of the release build; elsewhere the bound only tells a bomb that went off.
#[test]
fn a_zip_bomb_is_1009_in_time_and_for_the_price_of_the_limit() {
    const SLACK: u64 = 1 << 20;
    let within = if cfg!(debug_assertions) { PATIENCE } else { Duration::from_millis(100) };
    let bomb = masked(BINARY, bomb());
    for (size, limit) in [("1MiB", 1 << 20), ("16MiB", 16 << 20)] {
        // One worker, so that each bomb meets what the one before it may have left behind.
        let process = Process::start(&["--workers", "1", "--max-message", size]);
        let pid = process.child.id();
        let mut before = None;
        for round in 0..4 {
            let (mut client, _) = offer(Client::connect(process.address), "/echo", &[OFFER]);
            // The buffers and the codec of a worker that has seen a message are not the bomb's.
            client.send(masked(BINARY, deflated("warm")));
            read_inflated(&mut client);
            let before = *before.get_or_insert_with(|| status(pid, "VmRSS"));
            // Resets the peak (proc(5)).
            fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
            let since = Instant::now();
            client.send(&bomb);
            let code = client.read_frame().code();
            let took = since.elapsed();
            let grown = status(pid, "VmHWM").saturating_sub(before);
            println!("limit {size}, round {round}: {took:?}, {} KiB more", grown >> 10);
            assert_eq!(code, 1009);
            assert!(took < within, "{took:?}");
            assert!(grown <= limit + SLACK, "limit {limit}, {grown} bytes more");
            client.expect_end();
        }
    }
}

/// A line of the process's status, in bytes.
fn status(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
