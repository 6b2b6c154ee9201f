//! SYNs that the kernel sends again.

use crate::{
    harness::eventually,
    runs::{start, ws_load},
    test_servers::{FullListener, Server},
};
use rustix::process::Signal;
use std::{fs, time::Duration};

/// Returns whether a socket of this machine waits for the response to a SYN to `port`.
fn is_connecting_to(port: u16) -> bool {
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    // Columns: number, local address, remote address, state; 02 is SYN_SENT.
    sockets.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(2);
        let remote = columns.next().unwrap_or_default();
        remote.ends_with(&format!(":{port:04X}")) && columns.next() == Some("02")
    })
}

#[test]
fn syn_retransmits_are_counted() {
    let full = FullListener::new("127.0.0.1", 0);
    let address = full.address();
    let run = start(&format!("ws://{address}/"), &["-c", "1", "-n", "3"]);
    eventually("a SYN is sent", || is_connecting_to(address.port()));
    let _server = Server::echo_on(full.make_room());
    let run = run.wait();
    assert_eq!((run.code, run.count("slow_syn")), (Some(0), 1), "{run:?}");
    let server = Server::echo();
    let run = ws_load(&server.url(), &["-c", "50", "-n", "100"]);
    assert_eq!((run.code, run.count("slow_syn")), (Some(0), 0), "{run:?}");
}

#[test]
fn syn_retransmits_are_not_counted_if_the_generator_had_no_cpu() {
    let server = Server::raw(|stream, _, messages| {
        messages.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let Ok(mut websocket) = tungstenite::accept(stream) else { return };
        while websocket.read().is_ok() {}
    });
    let run = start(&server.url(), &["--hold", "-c", "600", "-D", "100ms"]);
    eventually("connections are open", || server.counted() > 100);
    // Up to 32 connects are complete and not handled yet, for longer than a SYN would take.
    run.signal(Signal::STOP);
    std::thread::sleep(Duration::from_millis(1300));
    run.signal(Signal::CONT);
    let run = run.wait();
    assert_eq!((run.code, run.count("slow_syn")), (Some(0), 0), "{run:?}");
}
