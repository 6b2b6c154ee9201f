//! Log lines of the real binary: what happens if they are not read.

use std::io::{BufRead, BufReader, Lines};
use std::process::{ChildStderr, Command};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Client, TEST_TIMEOUT, eventually, exchange, metric, text};
use crate::server_process::{ServerProcess, command, command_after};

/// Messages of a burst. Each makes two lines of 170 bytes at the level debug: more than a pipe holds.
const BURST: usize = 1000;

/// The metric that counts dropped lines.
const DROPPED: &str = "ws_echo_log_lines_dropped_total";

/// Starts a server that logs each message.
fn start_at_debug(command: &mut Command) -> ServerProcess {
    ServerProcess::spawn(command.env("RUST_LOG", "ws_echo=debug"))
}

/// Echoes a burst of messages.
fn echo_burst(client: &mut Client) {
    client.send(text(&"x".repeat(120)).repeat(BURST));
    for _ in 0..BURST {
        client.read_text();
    }
}

/// Echoes messages until log lines are dropped. Returns the session.
fn log_until_lines_are_dropped(process: &ServerProcess) -> Client {
    let mut client = process.open("/echo");
    eventually("lines are dropped", || {
        echo_burst(&mut client);
        metric(process.address, DROPPED) > 0
    });
    client
}

#[test]
fn log_that_is_not_read_holds_up_neither_sessions_nor_health_nor_the_stop() {
    const BOTH_IN_ONE_PIPE: &str = r#"exec "$@" 2>&1"#;
    for mut command in [
        command(&["--listen", "127.0.0.1:0", "--workers", "8"]),
        command_after(&["sh", "-c", BOTH_IN_ONE_PIPE, "sh"], &["--workers", "8"]),
    ] {
        let process = start_at_debug(&mut command);
        let mut client = log_until_lines_are_dropped(&process);
        echo_burst(&mut client);
        let mut late = process.open("/echo");
        echo_burst(&mut late);
        let health = exchange(process.address, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
        let begun = Instant::now();
        process.signal("TERM");
        for client in [&mut client, &mut late] {
            assert_eq!(client.read_frame().code(), 1001);
        }
        drop((client, late));
        assert_eq!(process.wait().0, Some(0));
        assert!(begun.elapsed() < Duration::from_secs(10), "it stopped after {:.1?}", begun.elapsed());
    }
}

/// Reads lines on a thread of its own.
fn read_lines(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let lines: Lines<_> = BufReader::new(stderr).lines();
    thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

/// Returns the number in a line about dropped lines.
fn dropped_in(line: &str) -> Option<u64> {
    let (before, _) = line.split_once(" log lines dropped")?;
    Some(before.rsplit(' ').next()?.parse().unwrap())
}

#[test]
fn log_that_is_read_again_reports_the_dropped_lines_and_goes_on() {
    let mut process = start_at_debug(&mut command(&["--listen", "127.0.0.1:0", "--workers", "8"]));
    let mut client = log_until_lines_are_dropped(&process);
    let lines = read_lines(process.child.stderr.take().unwrap());
    let next = || lines.recv_timeout(TEST_TIMEOUT).expect("another line");
    let mut dropped = 0;
    while dropped == 0 {
        dropped = dropped_in(&next()).unwrap_or(0);
    }
    let mut later = process.open("/later");
    loop {
        let line = next();
        dropped += dropped_in(&line).unwrap_or(0);
        if line.contains("opened /later") {
            break;
        }
    }
    assert_eq!(dropped, metric(process.address, DROPPED));
    process.signal("TERM");
    assert_eq!((client.read_frame().code(), later.read_frame().code()), (1001, 1001));
    drop((client, later));
    eventually("it ends", || process.child.try_wait().unwrap().is_some());
    let rest: Vec<_> = lines.iter().collect();
    assert!(rest.iter().any(|line| line.contains("shutting down: ")), "{rest:?}");
    assert_eq!(
        rest.iter().filter(|line| line.contains("closed by the server with 1001")).count(),
        2,
        "the last lines: {rest:?}"
    );
}
