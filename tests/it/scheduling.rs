//! Which threads preempt others when they are woken, read from the kernel.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use crate::binary::Process;
use crate::harness::{Client, PATIENCE, text};

/// `SCHED_OTHER` and `SCHED_BATCH` in `/proc` (sched(7)).
const NORMAL: &str = "0";
const BATCH: &str = "3";

/// What the kernel says of a thread (`proc_pid_stat(5)`).
#[derive(Debug)]
struct Thread {
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

/// The threads of a process, the one that accepts first.
fn threads(process: &Process) -> Vec<Thread> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let mut ids: Vec<u32> =
        tasks.map(|task| task.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    ids.sort_unstable();
    let thread = |id| {
        let stat = fs::read_to_string(format!("/proc/{}/task/{id}/stat", process.id())).unwrap();
        let (name, rest) = stat.split_once('(').unwrap().1.rsplit_once(") ").unwrap();
        let fields: Vec<_> = rest.split(' ').collect();
        Thread { name: name.to_owned(), state: fields[0].to_owned(), policy: fields[38].to_owned() }
    };
    ids.into_iter().map(thread).collect()
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
    await_threads(process, |threads| threads.iter().all(|thread| thread.state == "S"));
    client.send(text("late"));
    assert_eq!(client.read_text(), "late");
}

#[test]
fn who_accepts_or_waits_for_a_connection_lets_others_finish_and_nobody_else() {
    let process = Process::start(&["--workers", "4"]);
    await_threads(&process, |threads| {
        threads.iter().enumerate().all(|(index, thread)| {
            let waits = index == 0 || thread.is_worker();
            thread.policy == if waits { BATCH } else { NORMAL }
        })
    });
    assert_eq!(threads(&process).iter().filter(|thread| thread.is_worker()).count(), 4);
}

#[test]
fn the_worker_of_a_session_whose_messages_come_one_by_one_goes_first_until_its_end() {
    let process = Process::start(&["--workers", "1"]);
    let worker_is_under = |policy| {
        move |threads: &[Thread]| threads.iter().any(|thread| thread.is_worker() && thread.policy == policy)
    };
    let mut client = process.open("/echo");
    let deadline = Instant::now() + PATIENCE;
    while !worker_is_under(NORMAL)(&threads(&process)) {
        assert!(Instant::now() < deadline, "looks in vain do not end it");
        say_late(&process, &mut client);
    }
    client.close();
    await_threads(&process, worker_is_under(BATCH));
}

#[test]
fn the_policy_that_the_server_was_started_under_stays() {
    let mut command = Command::new("chrt");
    command.args([
        "--batch",
        "0",
        env!("CARGO_BIN_EXE_ws-echo"),
        "--listen",
        "127.0.0.1:0",
        "--workers",
        "2",
    ]);
    let process = Process::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut client = process.open("/echo");
    for _ in 0..20 {
        say_late(&process, &mut client);
    }
    let threads = threads(&process);
    assert!(threads.iter().all(|thread| thread.policy == BATCH), "{threads:?}");
}
