//! The real binary: its ready line, its signals, its exit codes, its words.

use std::fs;
use std::io::{BufReader, Read};
use std::process::{ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use rlimit::Resource;

use crate::binary::{Process, command, command_after};
use crate::harness::{Client, Frame, PATIENCE, eventually, masked, text, upgrade};

/// Runs to the end without anybody connecting.
pub fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn an_interrupt_and_a_termination_stop_it_cleanly_with_a_summary() {
    for signal in ["INT", "TERM"] {
        let process = Process::start(&[]);
        let mut talker = process.open("/");
        talker.send(text("Hello, world!"));
        assert_eq!(talker.read_text(), "Received: Hello, world!");
        let mut idle = process.open("/echo");
        process.signal(signal);
        for client in [&mut talker, &mut idle] {
            assert_eq!(client.read_frame(), Frame::close(1001, "server shutting down"));
            client.send(masked(0x88, 1001_u16.to_be_bytes()));
            client.expect_end();
        }
        let (code, out, err) = process.wait();
        assert_eq!(code, Some(0), "{err}");
        for words in ["2 accepted", "2 closed cleanly", "server 1001: 2", "1 in (13 B), 1 out (23 B)"] {
            assert!(out.contains(words), "no `{words}` after SIG{signal} in {out}");
        }
    }
}

#[test]
fn the_ready_line_comes_when_every_worker_waits() {
    let process = Process::start(&["--workers", "2000"]);
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap();
    assert!(threads.trim().parse::<usize>().unwrap() > 2000, "{threads} threads behind the ready line");
}

#[test]
fn a_second_interrupt_ends_it_at_once_with_130() {
    let process = Process::start(&["--drain-timeout", "1h"]);
    let mut deaf = process.open("/echo");
    process.signal("INT");
    assert_eq!(deaf.read_frame().code(), 1001, "the first is clean");
    process.signal("INT");
    assert_eq!(process.wait().0, Some(130));
}

#[test]
fn a_port_in_use_is_one_line_that_says_what_to_do() {
    let first = Process::start(&[]);
    let (code, err) = run(&["--listen", &first.address.to_string()]);
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot listen on") && err.contains("another port with --listen"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[test]
fn a_value_that_makes_no_sense_is_a_usage_error_that_names_option_value_and_what_is_accepted() {
    for (option, value, accepted) in [
        ("--listen", "1234", "HOST:PORT"),
        ("--workers", "0", "from 1"),
        ("--waiting", "-1", "from 0"),
        ("--max-message", "lots", "16MiB"),
        ("--handshake-timeout", "5", "500ms"),
        ("--ping-interval", "never", "0s"),
        ("--allow-origin", "example.com", "https://example.com"),
        ("--subprotocol", "two words", "letters"),
    ] {
        let (code, err) = run(&[&format!("{option}={value}")]);
        assert_eq!(code, Some(2), "{err}");
        for part in [option, value, accepted] {
            assert!(err.contains(part), "no `{part}` in {err}");
        }
    }
}

#[test]
fn the_environment_sets_options_and_arguments_win() {
    let process = Process::spawn(
        command(&["--workers", "4"])
            .env("WS_ECHO_LISTEN", "127.0.0.1:0")
            .env("WS_ECHO_REPLY_PREFIX", "From env: "),
    );
    let mut client = process.open("/");
    client.send(text("x"));
    assert_eq!(client.read_text(), "From env: x");
}

#[test]
fn too_many_workers_are_refused_with_the_limit_the_number_that_fits_and_the_way_out() {
    let (code, err) = run(&["--listen", "127.0.0.1:0", "--workers", "10000000"]);
    assert_eq!(code, Some(1), "{err}");
    for part in ["cannot start 10000000 workers", " allows ", "use --workers ", "raise the limit with `"] {
        assert!(err.contains(part), "no `{part}` in {err}");
    }
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[test]
fn the_default_number_of_workers_lowers_itself_with_a_warning() {
    let lowered = r#"ulimit -n 300; exec "$@""#;
    let process = Process::spawn(&mut command_after(&["sh", "-c", lowered, "sh"], &[]));
    process.open("/").close();
    process.signal("TERM");
    let (code, _, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("108 workers instead of 1024") && err.contains("ulimit -n"), "{err}");
}

#[test]
fn running_out_of_descriptors_pauses_the_accept_loop_and_burns_no_core() {
    let process = Process::start(&[]);
    let mut served = process.open("/echo");
    let pid = process.child.id();
    let before = take_all_descriptors(pid);
    let mut stranded = Client::connect(process.address);
    stranded.send(upgrade("/echo"));
    let cpu = cpu_ticks(pid);
    served.stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut byte = [0];
    assert!(served.stream.read(&mut byte).is_err(), "half a second in which nothing happens");
    let burnt = cpu_ticks(pid) - cpu;
    assert!(burnt <= 10, "{burnt} ticks of CPU in half a second");
    served.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    served.send(text("still served"));
    assert_eq!(served.read_text(), "still served");
    rlimit::prlimit(pid.cast_signed(), Resource::NOFILE, Some(before), None).unwrap();
    assert!(stranded.read_head().starts_with("HTTP/1.1 101 "), "it is served when there is room again");
    process.signal("TERM");
    drop((served, stranded));
    let (code, _, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(
        err.matches("cannot accept connections").count(),
        1,
        "said once, not ten times a second: {err}"
    );
}

/// Leaves a process no descriptor to open. Returns its limits of before.
fn take_all_descriptors(pid: u32) -> (u64, u64) {
    // The limit is on the number, and the lowest one that is free is taken: a process may have inherited high ones.
    let free = (0..10_000).find(|fd| !fs::exists(format!("/proc/{pid}/fd/{fd}")).unwrap()).unwrap();
    let (mut soft, mut hard) = (0, 0);
    rlimit::prlimit(pid.cast_signed(), Resource::NOFILE, None, Some((&mut soft, &mut hard))).unwrap();
    rlimit::prlimit(pid.cast_signed(), Resource::NOFILE, Some((free, hard)), None).unwrap();
    (soft, hard)
}

/// User and system time of a process, in clock ticks of a hundredth of a second.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn it_stops_while_it_is_out_of_descriptors() {
    let process = Process::start(&[]);
    take_all_descriptors(process.child.id());
    let _stranded = Client::connect(process.address);
    process.signal("INT");
    assert_eq!(process.wait().0, Some(0));
}

#[test]
fn messages_are_logged_at_debug_escaped_and_cut() {
    let process = Process::spawn(
        command(&["--listen", "127.0.0.1:0", "--workers", "4"]).env("RUST_LOG", "ws_echo=debug"),
    );
    let mut client = process.open("/");
    client.send(text(&format!("Hello\n{}", "x".repeat(500))));
    client.read_text();
    client.close();
    process.signal("INT");
    let (_, _, err) = process.wait();
    let line = |words: &str| {
        err.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{err}")).to_owned()
    };
    let received = line("Received back from client: ");
    assert!(received.contains("Hello\\n") && received.ends_with("… (506 bytes)"), "{received}");
    assert!(line("Sending to client: ").contains("Received: Hello\\n"));
    line("closed by the client with 1000");
}

#[test]
fn json_logs_are_an_object_a_line() {
    let process = Process::start(&["--log-format", "json"]);
    process.open("/").close();
    process.signal("INT");
    let (_, _, err) = process.wait();
    assert!(err.lines().count() >= 3, "{err}");
    for line in err.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for field in ["time", "level", "target", "message"] {
            assert!(object[field].is_string(), "no {field} in {line}");
        }
    }
}

#[test]
fn a_closed_standard_output_is_no_reason_to_stop() {
    let mut process = Process::start(&[]);
    drop(std::mem::replace(&mut process.out, BufReader::new(spare())));
    process.open("/").close();
    process.signal("TERM");
    eventually("it ends", || process.child.try_wait().unwrap().is_some());
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

/// A standard output of another process that has ended.
fn spare() -> ChildStdout {
    Command::new("true").stdout(Stdio::piped()).spawn().unwrap().stdout.take().unwrap()
}
