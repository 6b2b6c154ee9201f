//! Memory that large messages leave behind.

use crate::harness::{eventually, masked};
use crate::proc_status::ProcStatus;
use crate::server_process::{ServerProcess, command};

/// Number of sessions.
const SESSIONS: u64 = 100;

/// Resident memory that an idle session may keep, in bytes. A message of 1 MiB has sixteen times as many.
const KEPT_PER_SESSION: u64 = 64 << 10;

/// Starts a server on which glibc may use as many arenas as on a machine with eight cores: each arena that keeps a large
/// block keeps it for good.
fn start_with_many_arenas() -> ServerProcess {
    let arguments = ["--listen", "127.0.0.1:0", "--workers", "8", "--ping-interval", "0s"];
    ServerProcess::spawn(command(&arguments).env("MALLOC_ARENA_MAX", "64"))
}

#[test]
fn memory_of_large_messages_is_released_by_idle_sessions() {
    let process = start_with_many_arenas();
    let status = ProcStatus(process.id());
    let mut clients: Vec<_> = (0..SESSIONS).map(|_| process.open("/echo")).collect();
    let small = masked(0x82, "small");
    for client in &mut clients {
        client.send(&small);
        assert_eq!(client.read_frame().payload, b"small");
    }
    let before = status.resident();
    let sizes = [1 << 20, 1 << 20, 3 << 20, 200_000, 1 << 20];
    for (round, size) in sizes.into_iter().enumerate() {
        let large = masked(0x82, vec![7; size]);
        for client in &mut clients {
            client.send(&large);
            assert_eq!(client.read_frame().payload.len(), size);
            // The last frame may be a control frame.
            client.send(masked(0x89, ""));
            assert_eq!(client.read_frame().first, 0x8a);
        }
        eventually(&format!("memory is released in round {round}"), || {
            status.resident().saturating_sub(before) / SESSIONS <= KEPT_PER_SESSION
        });
    }
    // A session whose buffers were released still joins fragments.
    for client in &mut clients {
        client.send([masked(0x01, "in "), masked(0x89, "p"), masked(0x80, "parts")].concat());
        assert_eq!(client.read_frame().payload, b"p");
        assert_eq!(client.read_text(), "in parts");
    }
}
