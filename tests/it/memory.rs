//! What large messages leave behind.

use std::fs;

use crate::binary::Process;
use crate::harness::{eventually, masked};

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Echoes a mebibyte on each of a hundred connections, so many times, and waits each time until it is given back.
fn echo_large_messages(process: &Process, rounds: usize) {
    const SESSIONS: u64 = 100;
    let mut clients: Vec<_> = (0..SESSIONS).map(|_| process.open("/echo")).collect();
    let small = masked(0x82, "small");
    for client in &mut clients {
        client.send(&small);
        assert_eq!(client.read_frame().payload, b"small");
    }
    let before = resident(process.id());
    let large = masked(0x82, vec![7; 1 << 20]);
    for round in 0..rounds {
        for client in &mut clients {
            client.send(&large);
            assert_eq!(client.read_frame().payload.len(), 1 << 20);
            // What comes last may be no message.
            client.send(masked(0x89, ""));
            assert_eq!(client.read_frame().first, 0x8a);
        }
        eventually(&format!("memory is given back in round {round}"), || {
            resident(process.id()).saturating_sub(before) / SESSIONS <= 64
        });
    }
    // A session that was made anew goes on as if nothing had happened.
    for client in &mut clients {
        client.send([masked(0x01, "in "), masked(0x89, "p"), masked(0x80, "parts")].concat());
        assert_eq!(client.read_frame().payload, b"p");
        assert_eq!(client.read_text(), "in parts");
    }
}

#[test]
fn an_idle_session_gives_back_what_a_large_message_took_every_time() {
    echo_large_messages(&Process::start(&["--workers", "100"]), 3);
}
