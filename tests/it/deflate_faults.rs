//! Invalid compressed messages (RFC 7692, 6 and 7).

use std::time::{Duration, Instant};

use ws_echo::Config;

use crate::deflate_client::{BINARY, OFFER, TAIL, TEXT, deflated, deflated_at, offer, open, read_inflated};
use crate::harness::{Client, Frame, TEST_TIMEOUT, TestServer, config, masked};
use crate::proc_status::ProcStatus;
use crate::server_process::ServerProcess;

/// Returns 64 KiB that inflate to 64 MiB.
fn bomb() -> Vec<u8> {
    let mut part = deflated_at(9, vec![0; 1 << 20]);
    part.extend(TAIL);
    let mut bomb = part.repeat(64);
    bomb.truncate(bomb.len() - TAIL.len());
    assert!((60_000..70_000).contains(&bomb.len()), "{} bytes", bomb.len());
    bomb
}

#[test]
fn deflate_misplaced_rsv1_closes_with_1002() {
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
        client.send([masked(TEXT, deflated("pending")), bytes].concat());
        assert_eq!(read_inflated(&mut client), Frame::new(TEXT, "pending"), "{fault}");
        assert_eq!(client.read_frame().code(), 1002, "{fault}");
        client.expect_end();
    }
}

#[test]
fn deflate_invalid_data_closes_with_1007() {
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
        client.send([masked(BINARY, deflated("pending")), masked(BINARY, payload)].concat());
        assert_eq!(read_inflated(&mut client), Frame::new(BINARY, "pending"), "{fault}");
        assert_eq!(client.read_frame().code(), 1007, "{fault}");
        client.expect_end();
    }
}

#[test]
fn deflate_text_that_inflates_to_invalid_utf8_closes_with_1007() {
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
fn deflate_message_over_the_limit_when_inflated_closes_with_1009() {
    let server = TestServer::with(Config { max_message: 1000, ..config() });
    let mut client = open(&server, "/echo");
    for (size, fits) in [(1000, true), (1001, false)] {
        let message = "x".repeat(size);
        client.send(masked(TEXT, deflated(&message)));
        if fits {
            assert_eq!(read_inflated(&mut client), Frame::new(TEXT, message));
        }
    }
    assert_eq!(client.read_frame().code(), 1009);
    client.expect_end();
}

/// The bound on the time holds for release builds. In debug builds it only detects a bomb that was inflated whole.
#[test]
fn deflate_zip_bomb_closes_with_1009_within_memory_and_time_limits() {
    const SLACK: u64 = 1 << 20;
    let within = if cfg!(debug_assertions) { TEST_TIMEOUT } else { Duration::from_millis(100) };
    let bomb = masked(BINARY, bomb());
    for (size, limit) in [("1MiB", 1 << 20), ("16MiB", 16 << 20)] {
        // One worker, so that each bomb finds the memory that the one before it may have left.
        let process = ServerProcess::start(&["--workers", "1", "--max-message", size]);
        let status = ProcStatus(process.id());
        let mut before = None;
        for round in 0..4 {
            let (mut client, _) = offer(Client::connect(process.address), "/echo", &[OFFER]);
            // A first message allocates the buffers and the codec of the worker.
            client.send(masked(BINARY, deflated("warm")));
            read_inflated(&mut client);
            let before = *before.get_or_insert_with(|| status.resident());
            status.reset_peak();
            let since = Instant::now();
            client.send(&bomb);
            let code = client.read_frame().code();
            let took = since.elapsed();
            let grown = status.peak().saturating_sub(before);
            println!("limit {size}, round {round}: {took:?}, {} KiB more", grown >> 10);
            assert_eq!(code, 1009);
            assert!(took < within, "{took:?}");
            assert!(grown <= limit + SLACK, "limit {limit}, {grown} bytes more");
            client.expect_end();
        }
    }
}
