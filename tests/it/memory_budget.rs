//! `--memory`: what all sessions together hold of messages and unsent replies is bounded.

use std::io::Read;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::deflate_client::{OFFER, deflated, inflated};
use crate::harness::{Client, Frame, eventually, masked, metric, request, text};
use crate::proc_status::ProcStatus;
use crate::server_process::{ServerProcess, command, command_after};

/// The reason of a Close 1013.
const SHORT_OF_MEMORY: &str = "the server is short of memory";

const MIB: usize = 1 << 20;

/// Returns the header of a binary message of 15 MiB with a mask of zeros.
fn large_header() -> Vec<u8> {
    [&[0x82, 0xff][..], &(15 * MIB as u64).to_be_bytes(), &[0; 4]].concat()
}

#[test]
fn memory_of_a_message_does_not_grow_with_its_announced_length() {
    let limited = command_after(&["sh", "-c", r#"ulimit -v 1000000; exec "$@""#, "sh"], &["--workers", "2"]);
    let process = ServerProcess::spawn(&mut { limited });
    let status = ProcStatus(process.id());
    let mut small = process.open("/echo");
    let before = status.virtual_size();
    // 3 GiB together.
    let header = large_header();
    let mut clients: Vec<_> = (0..200).map(|_| process.open("/echo")).collect();
    for client in &mut clients {
        client.send(&header);
        client.send([7; 10]);
    }
    small.send(text("small"));
    assert_eq!(small.read_text(), "small");
    let grown = status.virtual_size().saturating_sub(before) / MIB as u64;
    assert!(grown < 128, "{grown} MiB for 200 headers of 15 MiB each");
    assert_eq!(metric(process.address, "ws_echo_memory_used_bytes"), 0);
}

#[test]
fn memory_above_that_of_the_machine_is_a_warning_at_the_start() {
    for (memory, warned) in [("900TiB", true), ("64MiB", false)] {
        let process = ServerProcess::start(&["--memory", memory]);
        process.signal("TERM");
        let (code, _, err) = process.wait();
        assert_eq!(code, Some(0), "{err}");
        let lines: Vec<_> = err.lines().filter(|line| line.contains("use a smaller --memory")).collect();
        assert_eq!(lines.len(), usize::from(warned), "{err}");
        let words = "WARN  ws_echo] 900.0 TiB for messages, of ";
        assert!(lines.iter().all(|line| line.contains(words)), "{err}");
    }
}

#[test]
fn memory_limit_closes_sessions_that_ask_for_more_and_no_others() {
    let mut start = command(&["--listen", "127.0.0.1:0", "--memory", "64MiB", "--workers", "2"]);
    let process = ServerProcess::spawn(start.args(["--close-timeout", "1m"]));
    let status = ProcStatus(process.id());
    let mut small = process.open("/echo");
    let before = status.resident();
    assert_eq!(metric(process.address, "ws_echo_memory_limit_bytes"), 64 << 20);
    let all_sent = Barrier::new(17);
    let replies: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..17)
            .map(|_| {
                let (mut client, all_sent) = (process.open("/echo"), &all_sent);
                scope.spawn(move || {
                    client.send(large_header());
                    client.send(vec![7; 15 * MIB - 1]);
                    all_sent.wait();
                    client.send([7]);
                    client.read_frame()
                })
            })
            .collect();
        for n in 0..200 {
            small.send(text(&n.to_string()));
            assert_eq!(small.read_text(), n.to_string());
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let (echoes, closes): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.first == 0x82);
    assert!(echoes.iter().all(|echo| echo.payload == vec![7; 15 * MIB]));
    // Of each of the others the server has read all but what two socket buffers hold.
    assert!((8..17).contains(&closes.len()), "{} of 17 sessions were closed", closes.len());
    assert!(closes.iter().all(|close| **close == Frame::close(1013, SHORT_OF_MEMORY)), "{closes:?}");
    let grown = status.peak().saturating_sub(before) / MIB as u64;
    assert!(grown < 96, "{grown} MiB with --memory 64MiB");
    small.close();
    eventually("the memory is given back", || metric(process.address, "ws_echo_memory_used_bytes") == 0);
    process.signal("TERM");
    let (code, out, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("  memory       ") && out.contains(" for messages, of 64.0 MiB"), "{out}");
}

#[test]
fn compressed_frames_that_are_large_are_inflated() {
    let process = ServerProcess::start(&["--workers", "2"]);
    let mut client = Client::connect(process.address);
    client.send(request("/echo", &[("Sec-WebSocket-Extensions", OFFER)]));
    client.read_head();
    // Bytes that do not shrink.
    let mut state = 1_u64;
    let message: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(4 * MIB)
    .collect();
    let payload = deflated(&message);
    assert!(payload.len() > 2 * MIB);
    for _ in 0..2 {
        client.send(masked(0xc2, &payload));
        let echo = client.read_frame();
        assert!(echo.first == 0xc2 && inflated(&echo.payload) == message);
    }
}

#[test]
fn memory_limit_includes_inflated_messages() {
    let process = ServerProcess::start(&["--memory", "4MiB", "--workers", "2"]);
    let mut client = Client::connect(process.address);
    client.send(request("/echo", &[("Sec-WebSocket-Extensions", OFFER)]));
    client.read_head();
    client.send(masked(0xc2, deflated(vec![0; 2 * MIB])));
    assert_eq!(client.read_frame().first, 0xc2);
    client.send(masked(0xc2, deflated(vec![0; 10 * MIB])));
    assert_eq!(client.read_frame(), Frame::close(1013, SHORT_OF_MEMORY));
}

#[test]
fn memory_limit_includes_replies_and_messages_that_wait() {
    let process = ServerProcess::start(&["--memory", "16MiB", "--workers", "2", "--write-timeout", "1m"]);
    let used = || metric(process.address, "ws_echo_memory_used_bytes");
    // The reply waits in the write queue.
    let mut echo = process.open("/echo");
    echo.send(masked(0x82, vec![7; 12 * MIB]));
    eventually("an unread reply is counted", || (4 << 20..=12 << 20).contains(&used()));
    assert_eq!(echo.read_frame().payload.len(), 12 * MIB);
    eventually("a reply that was read is not counted", || used() == 0);
    for (path, size) in [("/delay?ms=1h", MIB), ("/throttle?bytes=1", MIB), ("/fragment?size=1", 8 * MIB)] {
        let mut client = process.open(path);
        client.send(masked(0x82, vec![7; size]));
        eventually(&format!("a message that waits is counted: {path}"), || used() >= size as u64);
        // A session that does not read sees a reset, but no end of stream.
        SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        eventually(&format!("a session that has ended is not counted: {path}"), || used() == 0);
    }
}

#[test]
fn source_and_push_send_from_shared_memory() {
    let process = ServerProcess::start(&["--workers", "2", "--connections", "100", "--write-timeout", "1m"]);
    let status = ProcStatus(process.id());
    for path in ["/source?size=16MiB&count=2", "/push?size=16777000&every=1h"] {
        let before = status.resident();
        let mut clients: Vec<_> = (0..20).map(|_| process.open(path)).collect();
        for client in &mut clients {
            client.stream.read_exact(&mut [0]).unwrap();
        }
        let grown = status.resident().saturating_sub(before) / MIB as u64;
        assert!(grown < 80, "{grown} MiB for 20 clients that do not read {path}");
    }
}
