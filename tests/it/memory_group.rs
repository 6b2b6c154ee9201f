//! The server in a memory control group of 256 MiB, attacked beside a steady load.

use std::fs;
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use crate::deflate_client::{BINARY, OFFER, deflated};
use crate::harness::{Client, Frame, TEST_TIMEOUT, eventually, masked, metric, request, text};
use crate::server_process::{ServerProcess, command_after};

const MIB: usize = 1 << 20;

/// The limit of the group, and the default of `--memory` in it.
const LIMIT: usize = 256 * MIB;
const BUDGET: usize = LIMIT / 2;

/// Size of the messages of the attacks.
const LARGE: usize = 15 * MIB;

/// The reason of a Close 1013.
const SHORT_OF_MEMORY: &str = "the server is short of memory";

/// A memory control group (cgroups(7)), removed on drop.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// Creates a group. Returns `None` where this process may not, or has no controller for memory.
    fn new(limit: usize) -> Option<Self> {
        let parents = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        parents.iter().find_map(|(parent, file)| {
            let path = PathBuf::from(parent).join(format!("ws-echo-test-{}", std::process::id()));
            fs::create_dir(&path).ok()?;
            let group = Self(path);
            (group.0.join(file).exists() && fs::write(group.0.join(file), limit.to_string()).is_ok())
                .then_some(group)
        })
    }

    fn start_server(&self, arguments: &[&str]) -> ServerProcess {
        let join = format!(r#"echo $$ > {}/cgroup.procs && exec "$@""#, self.0.display());
        ServerProcess::spawn(&mut command_after(&["sh", "-c", &join, "sh"], arguments))
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Fails while a process is in it.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Sends numbered messages until `ended`, and compares the echoes. Returns their number.
fn load(process: &ServerProcess, ended: &AtomicBool) -> u32 {
    let mut client = process.open("/echo");
    // Without optimization the server takes seconds to inflate a large message.
    client.stream.set_read_timeout(Some(5 * TEST_TIMEOUT)).unwrap();
    let mut count = 0;
    while !ended.load(SeqCst) {
        client.send(text(&count.to_string()));
        assert_eq!(client.read_text(), count.to_string());
        count += 1;
    }
    client.close();
    count
}

fn large_header() -> Vec<u8> {
    [&[0x82, 0xff][..], &(LARGE as u64).to_be_bytes(), &[0; 4]].concat()
}

/// Announces messages of 3 GiB, and sends ten bytes of each.
fn announce(process: &ServerProcess) {
    let mut clients: Vec<_> = (0..200).map(|_| process.open("/echo")).collect();
    for client in &mut clients {
        client.send(large_header());
        client.send([7; 10]);
    }
    assert_eq!(metric(process.address, "ws_echo_memory_used_bytes"), 0);
}

/// Sends all but the last byte of messages of 3 GiB, then the last bytes. Returns the replies.
fn leave_unfinished(process: &ServerProcess) -> Vec<Frame> {
    let (all_sent, chunk) = (Barrier::new(200), vec![7; MIB / 4]);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..200)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = process.open("/echo");
                    client.send(large_header());
                    for _ in 1..LARGE / chunk.len() {
                        client.send(&chunk);
                    }
                    client.send(&chunk[1..]);
                    all_sent.wait();
                    client.send([7]);
                    client.read_frame()
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

/// Sends messages that are a thousand times as large when inflated. Returns the replies.
fn send_bombs(process: &ServerProcess) -> Vec<Frame> {
    let bomb = masked(BINARY, deflated(vec![0; LARGE]));
    let mut clients: Vec<_> = (0..6)
        .map(|_| {
            let mut client = Client::connect(process.address);
            client.send(request("/echo", &[("Sec-WebSocket-Extensions", OFFER)]));
            client.read_head();
            client.stream.set_read_timeout(Some(5 * TEST_TIMEOUT)).unwrap();
            client
        })
        .collect();
    for client in &mut clients {
        client.send(&bomb);
    }
    clients.iter_mut().map(Client::read_frame).collect()
}

/// Skipped where no group can be made.
#[test]
fn memory_group_of_256_mib_survives_attacks_and_a_steady_load_loses_nothing() {
    let Some(group) = MemoryGroup::new(LIMIT) else {
        return println!("skipped: this process cannot make a memory control group");
    };
    // A busy machine takes its time.
    let timeouts = ["--close-timeout=5m", "--message-timeout=5m", "--write-timeout=5m", "--ping-interval=0s"];
    let process = group.start_server(&timeouts);
    assert_eq!(metric(process.address, "ws_echo_memory_limit_bytes"), BUDGET as u64);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let loads: Vec<_> = (0..4).map(|_| scope.spawn(|| load(&process, &ended))).collect();
        let attacks = scope
            .spawn(|| {
                announce(&process);
                let unfinished = leave_unfinished(&process);
                let is_close = |reply: &&Frame| **reply == Frame::close(1013, SHORT_OF_MEMORY);
                let closes = unfinished.iter().filter(is_close).count();
                assert!(closes >= 200 - BUDGET / LARGE - 1, "{closes} of 200 were closed");
                let others = unfinished.iter().filter(|reply| !is_close(reply));
                assert!(others.clone().all(|reply| reply.first == 0x82 && reply.payload == vec![7; LARGE]));
                let bombed = send_bombs(&process);
                assert!(
                    bombed.iter().all(|reply| is_close(&reply) || reply.first == 0xc2),
                    "not 1013 or an echo"
                );
            })
            .join();
        ended.store(true, SeqCst);
        for load in loads {
            let count = load.join().unwrap();
            assert!(count > 10, "{count} messages beside the attacks");
        }
        attacks.unwrap();
    });
    eventually("the memory is given back", || metric(process.address, "ws_echo_memory_used_bytes") == 0);
    process.signal("TERM");
    let (code, _, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
}
