//! Which threads preempt others when they are woken, read from the kernel.

use std::fs::{self, DirEntry};
use std::io;
use std::thread;
use std::time::Instant;

use crate::binary::{Process, command_after};
use crate::harness::{Client, Frame, PATIENCE, masked};

/// `SCHED_OTHER` and `SCHED_BATCH` in `/proc` (sched(7)).
const NORMAL: &str = "0";
const BATCH: &str = "3";

/// What the kernel says of a thread (`proc_pid_stat(5)`).
#[derive(Debug)]
struct Thread {
    id: u32,
    name: String,
    state: String,
    policy: String,
}

impl Thread {
    /// Whether this is a worker; the supervisor and the refusal lane have a suffix.
    fn is_worker(&self) -> bool {
        self.name.strip_prefix("ws:").is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

/// A server that is started under that policy, whatever the tests run under.
fn start(policy: &str, workers: &str) -> Process {
    Process::spawn(&mut command_after(&["chrt", policy, "0"], &["--workers", workers]))
}

/// The threads of a process.
fn threads(process: &Process) -> Vec<Thread> {
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

/// Waits until the threads are as they should be.
fn await_threads(process: &Process, condition: impl Fn(&[Thread]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition(&threads(process)) {
        assert!(Instant::now() < deadline, "{:?}", threads(process));
        thread::yield_now();
    }
}

/// Says something after everybody has gone to sleep, and waits for the echo.
fn say_late(process: &Process, client: &mut Client) {
    say(process, client, b"late");
}

/// Says this after everybody has gone to sleep, and waits for the echo.
fn say(process: &Process, client: &mut Client, bytes: &[u8]) {
    await_sleep(process);
    client.send(masked(0x82, bytes));
    assert!(client.read_frame() == Frame::new(0x82, bytes));
}

/// Waits until every thread waits for something.
fn await_sleep(process: &Process) {
    await_threads(process, |threads| threads.iter().all(|thread| thread.state == "S"));
}

/// Says something until the only worker, once it sleeps again, does so under that policy.
fn say_until(process: &Process, client: &mut Client, bytes: &[u8], policy: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        say(process, client, bytes);
        await_sleep(process);
        let threads = threads(process);
        if threads.iter().any(|thread| thread.is_worker() && thread.policy == policy) {
            break;
        }
        assert!(Instant::now() < deadline, "{threads:?}");
    }
}

#[test]
fn who_accepts_or_waits_for_a_connection_lets_others_finish_and_nobody_else() {
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
fn the_worker_of_a_session_whose_messages_come_one_by_one_goes_first_until_its_end() {
    let process = start("--other", "1");
    let worker_is_under = |policy| {
        move |threads: &[Thread]| threads.iter().any(|thread| thread.is_worker() && thread.policy == policy)
    };
    let mut client = process.open("/echo");
    say_until(&process, &mut client, b"small", NORMAL);
    say_late(&process, &mut client);
    assert!(worker_is_under(NORMAL)(&threads(&process)));
    client.close();
    await_threads(&process, worker_is_under(BATCH));
}

#[test]
fn the_worker_of_a_session_with_large_messages_lets_others_finish_while_they_come() {
    let process = start("--other", "1");
    let mut client = process.open("/echo");
    for _ in 0..2 {
        say_until(&process, &mut client, b"small", NORMAL);
        say_until(&process, &mut client, &vec![7; 64 << 10], BATCH);
    }
}

#[test]
fn the_policy_that_the_server_was_started_under_stays() {
    let process = start("--batch", "2");
    let mut client = process.open("/echo");
    for _ in 0..20 {
        say_late(&process, &mut client);
    }
    let threads = threads(&process);
    assert!(threads.iter().all(|thread| thread.policy == BATCH), "{threads:?}");
}
