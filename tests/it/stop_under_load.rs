//! Shutdown while the workers have more to do than they can finish.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use crate::deflate_client::{BINARY, OFFER, deflated, offer};
use crate::harness::{Client, eventually, masked, metric};
use crate::server_process::{LogLines, ServerProcess};

/// Size of an inflated message, in bytes, and the option for it.
const MAX_MESSAGE: usize = 64 << 10;
const MAX_MESSAGE_OPTION: &str = "64KiB";

/// Drain timeout of the server, the time that it may take after it (README.md, Stopping), and the time to end the process
/// on a busy machine.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(1);
const EXIT: Duration = Duration::from_secs(1);

/// Sends messages that inflate to the limit until the server takes no more.
fn send_bombs(client: &mut Client) {
    let bomb = masked(BINARY, deflated(vec![0; MAX_MESSAGE]));
    client.stream.set_nonblocking(true).unwrap();
    for n in 0..40_000 {
        let mut at = 0;
        while at < bomb.len() {
            match client.stream.write(&bomb[at..]) {
                Ok(sent) => at += sent,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "after {n} messages");
                    return;
                }
            }
        }
    }
}

#[test]
fn shutdown_drops_queued_compressed_messages_and_ends_in_time() {
    for path in ["/sink", "/echo", "/delay?ms=0"] {
        let mut process = ServerProcess::start(&[
            "--workers",
            "9",
            "--drain-timeout",
            "1s",
            "--max-message",
            MAX_MESSAGE_OPTION,
        ]);
        let log = LogLines::of(&mut process);
        let mut clients: Vec<_> =
            (0..8).map(|_| offer(Client::connect(process.address), path, &[OFFER]).0).collect();
        clients.iter_mut().for_each(send_bombs);
        eventually("a message", || metric(process.address, "ws_echo_messages_received_total") > 0);
        let since = Instant::now();
        process.signal("TERM");
        let (code, out, _) = process.wait();
        let took = since.elapsed();
        let log = log.rest();
        assert!(code == Some(0) && out.contains("stopped after"), "{path}: {log:#?}");
        assert!(took < DRAIN_TIMEOUT + GRACE + EXIT, "{path}: {took:?} {log:#?}");
        let late: Vec<_> = log.iter().filter(|line| line.contains("still run")).collect();
        assert!(late.is_empty(), "{path}: {late:?} after {took:?}");
    }
}
