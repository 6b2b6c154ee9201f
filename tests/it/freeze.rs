//! A server process that does not run for a while, stopped with SIGSTOP.

use std::fs;
use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Client, Frame, KEY, eventually, masked, text, upgrade};
use crate::server_process::{LogLines, ServerProcess};

/// All time-outs of the server, as option value and as time.
const TIMEOUT_OPTION: &str = "2s";
const TIMEOUT: Duration = Duration::from_secs(2);

/// Stops the process for this time, and lets it run again.
fn freeze(process: &ServerProcess, time: Duration) {
    process.signal("STOP");
    eventually("the process is stopped", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
        stat.rsplit(')').next().unwrap().trim().starts_with('T')
    });
    // The length of the freeze, not a wait for anything.
    thread::sleep(time);
    process.signal("CONT");
}

/// Sends binary messages until the server takes no more for a while, because its worker is blocked in a
/// write. Returns the number of whole messages, and completes the last one later with the returned bytes.
fn send_until_blocked(client: &mut Client, message: &[u8]) -> (usize, Vec<u8>) {
    client.stream.set_nonblocking(true).unwrap();
    let (mut sent, mut full_since) = (0, None);
    while full_since.is_none_or(|since: Instant| since.elapsed() < Duration::from_millis(200)) {
        match client.stream.write(&message[sent % message.len()..]) {
            Ok(n) => (sent, full_since) = (sent + n, None),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                full_since = full_since.or(Some(Instant::now()));
                thread::yield_now();
            }
        }
    }
    client.stream.set_nonblocking(false).unwrap();
    (sent / message.len(), message[sent % message.len()..].to_vec())
}

#[test]
fn freeze_of_the_process_aborts_nothing() {
    let mut arguments = vec!["--workers", "3", "--waiting", "4"];
    let timeouts = ["--handshake-timeout", "--ping-interval", "--pong-timeout", "--write-timeout"];
    arguments.extend(timeouts.iter().flat_map(|option| [*option, TIMEOUT_OPTION]));
    let mut process = ServerProcess::start(&arguments);
    let log = LogLines::of(&mut process);
    let mut idle = process.open("/echo");
    let mut blocked = process.open("/echo");
    let mut handshaking = Client::connect(process.address);
    handshaking.send(format!("GET /echo HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: {KEY}\r\n"));
    let mut queued = Client::connect(process.address);
    queued.send(upgrade("/echo"));
    let message = masked(0x82, vec![1; 1 << 20]);
    let (whole, rest) = send_until_blocked(&mut blocked, &message);

    freeze(&process, TIMEOUT + TIMEOUT / 4);
    log.expect("the process did not run for");

    handshaking.send("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n");
    let head = handshaking.read_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    idle.send(text("still here"));
    let mut frame = idle.read_frame();
    if frame.first == 0x89 {
        idle.send(masked(0x8a, &frame.payload));
        frame = idle.read_frame();
    }
    assert_eq!((frame.first, &frame.payload[..]), (0x81, &b"still here"[..]));
    // A worker for the queued connection.
    handshaking.close();
    let head = queued.read_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut sender = Client { stream: blocked.stream.try_clone().unwrap() };
    let sending = thread::spawn(move || sender.send(rest));
    for n in 0..=whole {
        let mut frame = blocked.read_frame();
        while frame.first == 0x89 {
            frame = blocked.read_frame();
        }
        assert!(frame.first == 0x82 && frame.payload.len() == 1 << 20, "reply {n}");
    }
    sending.join().unwrap();
}

#[test]
fn freeze_of_the_process_ends_no_message_and_no_idle_session() {
    const LIMIT: Duration = Duration::from_secs(4);
    let limits = ["--message-timeout=4s", "--idle-timeout=4s", "--ping-interval=0s"];
    let mut process = ServerProcess::start(&limits);
    let log = LogLines::of(&mut process);
    let mut idle = process.open("/echo");
    let mut unfinished = process.open("/echo");
    let message = text("in two parts");
    unfinished.send(&message[..9]);
    // A tick of the supervisor, which sees what each session waits for, and less than half of the limits.
    let pause = || {
        let mut pause = process.open("/delay?ms=1000");
        pause.send(text("pause"));
        assert_eq!(pause.read_text(), "pause");
        pause.close();
    };
    pause();

    freeze(&process, LIMIT + LIMIT / 4);
    log.expect("the process did not run for");

    pause();
    unfinished.send(&message[9..]);
    assert_eq!(unfinished.read_frame(), Frame::new(0x81, "in two parts"));
    idle.send(text("still here"));
    assert_eq!(idle.read_frame(), Frame::new(0x81, "still here"));
}
