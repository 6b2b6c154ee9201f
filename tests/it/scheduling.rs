//! Scheduling policies of the threads, read from the kernel.

use std::fs::{self, DirEntry};
use std::io;
use std::thread;
use std::time::Instant;

use crate::harness::{Client, Frame, TEST_TIMEOUT, masked};
use crate::server_process::{ServerProcess, command_after};

/// `SCHED_OTHER` and `SCHED_BATCH` in `/proc` (sched(7)).
const NORMAL: &str = "0";
const BATCH: &str = "3";

/// The kernel's data of a thread (`proc_pid_stat(5)`).
#[derive(Debug)]
struct Thread {
    id: u32,
    name: String,
    state: String,
    policy: String,
}

impl Thread {
    /// Returns whether this is a worker. The names of the supervisor and the rejector have a suffix.
    fn is_worker(&self) -> bool {
        self.name.strip_prefix("ws:").is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

/// Starts a server under a policy, whatever the tests run under.
fn start(policy: &str, workers: &str) -> ServerProcess {
    ServerProcess::spawn(&mut command_after(&["chrt", policy, "0"], &["--workers", workers]))
}

/// Returns the threads of a process.
fn threads(process: &ServerProcess) -> Vec<Thread> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let thread = |task: io::Result<DirEntry>| {
        let id = task.unwrap().file_name().to_str().unwrap().parse().unwrap();
        let stat = fs::read_to_string(format!("/proc/{}/task/{id}/stat", process.id())).unwrap();
        let (name, rest) = stat.split_once('(').unwrap().1.rsplit_once(") ").unwrap();
        let fields: Vec<_> = rest.split(' ').collect();
        Thread { id, name: name.to_owned(), state: fields[0].to_owned(), policy: fields[38].to_owned() }
    };
    tasks.map(thread).collect()
}

/// Waits until the condition holds for the threads.
fn await_threads(process: &ServerProcess, condition: impl Fn(&[Thread]) -> bool) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !condition(&threads(process)) {
        assert!(Instant::now() < deadline, "{:?}", threads(process));
        thread::yield_now();
    }
}

/// Sends a small message when all threads sleep, and waits for the echo.
fn send_small(process: &ServerProcess, client: &mut Client) {
    send(process, client, b"small");
}

/// Sends a message when all threads sleep, and waits for the echo.
fn send(process: &ServerProcess, client: &mut Client, bytes: &[u8]) {
    await_sleep(process);
    client.send(masked(0x82, bytes));
    assert!(client.read_frame() == Frame::new(0x82, bytes));
}

/// Waits until all threads are blocked.
fn await_sleep(process: &ServerProcess) {
    await_threads(process, |threads| threads.iter().all(|thread| thread.state == "S"));
}

/// Sends messages until the only worker sleeps under that policy.
fn send_until(process: &ServerProcess, client: &mut Client, bytes: &[u8], policy: &str) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        send(process, client, bytes);
        await_sleep(process);
        let threads = threads(process);
        if threads.iter().any(|thread| thread.is_worker() && thread.policy == policy) {
            break;
        }
        assert!(Instant::now() < deadline, "{threads:?}");
    }
}

#[test]
fn scheduling_is_batch_for_accept_loop_and_idle_workers_only() {
    let process = start("--other", "4");
    await_threads(&process, |threads| {
        threads.iter().all(|thread| {
            let waits = thread.id == process.id() || thread.is_worker();
            thread.policy == if waits { BATCH } else { NORMAL }
        })
    });
    assert_eq!(threads(&process).iter().filter(|thread| thread.is_worker()).count(), 4);
}

#[test]
fn scheduling_is_normal_for_a_session_of_small_messages_until_its_end() {
    let process = start("--other", "1");
    let worker_is_under = |policy| {
        move |threads: &[Thread]| threads.iter().any(|thread| thread.is_worker() && thread.policy == policy)
    };
    let mut client = process.open("/echo");
    send_until(&process, &mut client, b"small", NORMAL);
    send_small(&process, &mut client);
    assert!(worker_is_under(NORMAL)(&threads(&process)));
    client.close();
    await_threads(&process, worker_is_under(BATCH));
}

#[test]
fn scheduling_is_batch_while_a_session_receives_large_messages() {
    let process = start("--other", "1");
    let mut client = process.open("/echo");
    for _ in 0..2 {
        send_until(&process, &mut client, b"small", NORMAL);
        send_until(&process, &mut client, &vec![7; 64 << 10], BATCH);
    }
}

#[test]
fn scheduling_policy_of_the_server_process_is_kept() {
    let process = start("--batch", "2");
    let mut client = process.open("/echo");
    for _ in 0..20 {
        send_small(&process, &mut client);
    }
    let threads = threads(&process);
    assert!(threads.iter().all(|thread| thread.policy == BATCH), "{threads:?}");
}
