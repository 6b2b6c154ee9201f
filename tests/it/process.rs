//! The real binary: ready line, options, signals, exit codes, output and logs.

use std::fs;
use std::io::{BufReader, ErrorKind, Read};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::{ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use rlimit::Resource;

use crate::harness::{Client, Frame, TEST_TIMEOUT, eventually, exchange, masked, text, upgrade};
use crate::proc_status::ProcStatus;
use crate::server_process::{LogLines, ServerProcess, command, command_after};

/// Runs the server to its end. Returns the exit code and standard error.
pub fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn sigint_and_sigterm_stop_cleanly_with_a_summary() {
    for signal in ["INT", "TERM"] {
        let process = ServerProcess::start(&[]);
        let mut client = process.open("/");
        client.send(text("Hello, world!"));
        assert_eq!(client.read_text(), "Received: Hello, world!");
        let mut idle = process.open("/echo");
        process.signal(signal);
        for client in [&mut client, &mut idle] {
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
fn ready_line_is_printed_after_all_workers_have_started() {
    let process = ServerProcess::start(&["--workers", "2000"]);
    let threads = ProcStatus(process.id()).threads();
    assert!(threads > 2000, "{threads} threads behind the ready line");
}

#[test]
fn second_sigint_exits_at_once_with_130() {
    let process = ServerProcess::start(&["--drain-timeout", "1h"]);
    let mut client = process.open("/echo");
    process.signal("INT");
    assert_eq!(client.read_frame().code(), 1001, "the first is clean");
    process.signal("INT");
    assert_eq!(process.wait().0, Some(130));
}

#[test]
fn sigint_after_sigterm_exits_at_once_with_130() {
    let process = ServerProcess::start(&["--drain-timeout", "1h"]);
    let mut client = process.open("/echo");
    process.signal("TERM");
    assert_eq!(client.read_frame().code(), 1001, "the first is clean");
    process.signal("INT");
    assert_eq!(process.wait().0, Some(130));
}

#[test]
fn second_sigterm_changes_nothing() {
    for first in ["TERM", "INT"] {
        let mut process = ServerProcess::start(&["--drain-timeout", "1h"]);
        let log = LogLines::of(&mut process);
        let mut client = process.open("/echo");
        process.signal(first);
        assert_eq!(client.read_frame().code(), 1001);
        process.signal("TERM");
        log.expect("already shutting down; SIGINT");
        client.send(masked(0x88, 1001_u16.to_be_bytes()));
        client.expect_end();
        let (code, out, _) = process.wait();
        assert_eq!(code, Some(0));
        assert!(out.contains("1 closed cleanly"), "{out}");
    }
}

#[test]
fn port_in_use_is_one_line_that_names_the_option() {
    let first = ServerProcess::start(&[]);
    let (code, err) = run(&["--listen", &first.address.to_string()]);
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot listen on") && err.contains("another port with --listen"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[test]
fn invalid_option_value_is_a_usage_error_that_names_what_is_accepted() {
    for (option, value, accepted) in [
        ("--listen", "1234", "HOST:PORT"),
        ("--workers", "0", "from 1"),
        ("--waiting", "-1", "from 0"),
        ("--max-message", "lots", "16MiB"),
        ("--handshake-timeout", "5", "500ms"),
        ("--ping-interval", "never", "0s"),
        ("--allow-origin", "example.com", "https://example.com"),
        ("--allow-origin", "https://x:443", "leave out the default port: use https://x"),
        ("--allow-origin", "*.x", "scheme://host"),
        ("--allow-origin", "https://*.x", "wildcards are not supported"),
        ("--allow-host", "http://x", "HOST:PORT"),
        ("--subprotocol", "two words", "letters"),
        ("--disable", "/nonsense", "/broadcast"),
    ] {
        let (code, err) = run(&[&format!("{option}={value}")]);
        assert_eq!(code, Some(2), "{err}");
        for part in [option, value, accepted] {
            assert!(err.contains(part), "no `{part}` in {err}");
        }
    }
}

/// Starts a server with an option in the environment, as an argument, or both.
fn start_with_option(name: &str, environment: Option<&str>, argument: Option<&str>) -> ServerProcess {
    let variable = format!("WS_ECHO_{}", name.to_uppercase().replace('-', "_"));
    let argument = argument.map(|value| format!("--{name}={value}"));
    let mut command = command(&["--workers", "4", "--listen", "127.0.0.1:0"]);
    ServerProcess::spawn(command.args(argument).envs(environment.map(|value| (variable, value))))
}

#[test]
fn option_in_the_environment_is_used_and_arguments_win() {
    for (environment, argument, prefix) in [
        (None, None, "Received: "),
        (Some("one "), None, "one "),
        (None, Some("two "), "two "),
        (Some("one "), Some("two "), "two "),
        (Some("two "), Some("one "), "one "),
    ] {
        let process = start_with_option("reply-prefix", environment, argument);
        let mut client = process.open("/");
        client.send(text("x"));
        assert_eq!(client.read_text(), format!("{prefix}x"), "{environment:?} {argument:?}");
    }
}

/// An echo that is delayed by ten intervals comes before a Ping only if no Ping is sent.
#[test]
fn ping_interval_in_the_environment_is_used_and_arguments_win() {
    let (ping, echo) = (Frame::new(0x89, ""), Frame::new(0x81, "x"));
    for (environment, argument, first) in
        [(Some("100ms"), None, &ping), (Some("100ms"), Some("0s"), &echo), (Some("0s"), Some("100ms"), &ping)]
    {
        let process = start_with_option("ping-interval", environment, argument);
        let mut client = process.open("/delay?ms=1000");
        client.send(text("x"));
        assert_eq!(client.read_frame(), *first, "{environment:?} {argument:?}");
    }
}

#[test]
fn disabled_endpoints_come_from_options_and_the_environment() {
    let disabled = |process: &ServerProcess, path: &str| {
        exchange(process.address, upgrade(path)).starts_with("HTTP/1.1 404 ")
    };
    let process = ServerProcess::start(&["--disable", "/delay", "--disable=push,/status"]);
    assert!(["/delay", "/push", "/status/503"].iter().all(|path| disabled(&process, path)));
    process.open("/broadcast").close();
    let process = start_with_option("disable", Some("/delay,/push"), None);
    assert!(["/delay", "/push"].iter().all(|path| disabled(&process, path)));
}

#[test]
fn listen_address_in_the_environment_is_used() {
    let mut command = command(&["--workers", "4"]);
    let process = ServerProcess::spawn(command.env("WS_ECHO_LISTEN", "127.0.0.1:0"));
    assert_ne!(process.address.port(), 1234, "the default");
    process.open("/").close();
}

#[test]
fn too_many_workers_are_rejected_with_the_number_that_fits() {
    let (code, err) = run(&["--listen", "127.0.0.1:0", "--workers", "10000000"]);
    assert_eq!(code, Some(1), "{err}");
    for part in ["cannot start 10000000 workers", " allows ", "use --workers "] {
        assert!(err.contains(part), "no `{part}` in {err}");
    }
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[test]
fn default_connections_are_lowered_to_what_fits_with_a_warning() {
    let lowered = r#"ulimit -n 300; exec "$@""#;
    let process = ServerProcess::spawn(&mut command_after(&["sh", "-c", lowered, "sh"], &[]));
    process.open("/").close();
    process.signal("TERM");
    let (code, _, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("108 connections at most: ") && err.contains("`ulimit -n 1216`"), "{err}");
}

/// Runs the server under a limit of the shell. Returns the exit code and standard error.
fn run_under(ulimit: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let script = format!(r#"ulimit {ulimit}; exec "$@""#);
    let output =
        command_after(&["sh", "-c", &script, "sh"], arguments).env("RUST_BACKTRACE", "1").output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Starts the server under a limit with the options that an error advises, and serves a session.
fn start_as_advised(ulimit: &str, error: &str) {
    let advice = error.split_once("; use ").unwrap_or_else(|| panic!("no advice: {error}")).1;
    let options = advice.split(", or ").next().unwrap().split_whitespace();
    let options: Vec<_> = options.collect();
    let script = format!(r#"ulimit {ulimit}; exec "$@""#);
    let process = ServerProcess::spawn(&mut command_after(&["sh", "-c", &script, "sh"], &options));
    process.open("/echo").close();
    process.signal("TERM");
    let (code, _, err) = process.wait();
    assert_eq!(code, Some(0), "{options:?}: {err}");
}

#[test]
fn limit_of_open_files_is_explained_with_options_that_work() {
    for (files, arguments, allowed) in [
        (300, &["--connections=500"][..], "allows 108 beside --waiting 128"),
        (150, &[], "allows none beside --waiting 128"),
        (150, &["--connections=10"], "allows none beside --waiting 128"),
        (66, &[], "allows none beside --waiting 128"),
    ] {
        let ulimit = format!("-n {files}");
        let (code, err) = run_under(&ulimit, arguments);
        assert_eq!((code, err.lines().count()), (Some(1), 1), "{err}");
        assert!(
            err.contains(&format!("the limit of open files ({files}) {allowed}; use --connections ")),
            "{err}"
        );
        start_as_advised(&ulimit, &err);
    }
    let (code, err) = run_under("-n 40", &[]);
    assert_eq!((code, err.lines().count()), (Some(1), 1), "{err}");
    assert!(err.contains("allows none") && err.contains("`ulimit -n 1216`"), "{err}");
    assert!(!err.contains("use --connections"), "{err}");
}

#[test]
fn thread_that_cannot_be_started_is_one_line_with_options_that_work() {
    // 300 MB of address space have no room for 1,500 stacks of 256 KiB.
    let (code, err) = run_under("-v 300000", &["--workers=1500", "--waiting=0"]);
    assert_eq!((code, err.lines().count()), (Some(1), 1), "{err}");
    assert!(err.contains("cannot start 1500 workers: the system started "), "{err}");
    start_as_advised("-v 300000", &err);
}

#[test]
fn descriptor_exhaustion_pauses_the_accept_loop_without_spinning() {
    let process = ServerProcess::start(&[]);
    let mut served = process.open("/echo");
    let pid = process.child.id();
    let before = take_all_descriptors(pid);
    let mut waiting = Client::connect(process.address);
    waiting.send(upgrade("/echo"));
    let cpu = cpu_ticks(pid);
    served.stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut byte = [0];
    let nothing = served.stream.read(&mut byte).expect_err("half a second without traffic");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    let used = cpu_ticks(pid) - cpu;
    assert!(used <= 10, "{used} ticks of CPU in half a second");
    served.stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    served.send(text("still served"));
    assert_eq!(served.read_text(), "still served");
    rlimit::prlimit(pid.cast_signed(), Resource::NOFILE, Some(before), None).unwrap();
    assert!(waiting.read_head().starts_with("HTTP/1.1 101 "), "it is served when descriptors are free again");
    process.signal("TERM");
    drop((served, waiting));
    let (code, _, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(
        err.matches("cannot accept connections").count(),
        1,
        "logged once, not ten times a second: {err}"
    );
}

/// Lowers the limit of a process so that it cannot open another descriptor. Returns its previous limits.
fn take_all_descriptors(pid: u32) -> (u64, u64) {
    // The limit is on the number of the next descriptor, which is the lowest free one.
    let free = (0..10_000).find(|fd| !fs::exists(format!("/proc/{pid}/fd/{fd}")).unwrap()).unwrap();
    let (mut soft, mut hard) = (0, 0);
    rlimit::prlimit(pid.cast_signed(), Resource::NOFILE, None, Some((&mut soft, &mut hard))).unwrap();
    rlimit::prlimit(pid.cast_signed(), Resource::NOFILE, Some((free, hard)), None).unwrap();
    (soft, hard)
}

/// Returns the user and system time of a process, in clock ticks of a hundredth of a second.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn descriptor_exhaustion_does_not_prevent_shutdown() {
    let process = ServerProcess::start(&[]);
    take_all_descriptors(process.child.id());
    let _waiting = Client::connect(process.address);
    process.signal("INT");
    assert_eq!(process.wait().0, Some(0));
}

#[test]
fn log_shows_messages_at_debug_escaped_and_shortened() {
    let process = ServerProcess::spawn(
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
fn log_format_json_is_one_object_a_line() {
    let process = ServerProcess::start(&["--log-format", "json"]);
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
fn log_cuts_long_paths_and_gives_their_length() {
    let process = ServerProcess::start(&[]);
    let (opened, unknown) = (format!("/{}", "o".repeat(5000)), format!("/{}", "u".repeat(6000)));
    process.open(&opened).close();
    let response = exchange(process.address, format!("GET {unknown} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    process.signal("INT");
    let (_, _, err) = process.wait();
    for words in ["opened /ooo", "ooo… (5001 bytes)", "GET /uuu", "uuu… (6001 bytes): 404"] {
        assert!(err.contains(words), "no `{words}` in {err}");
    }
    let longest = err.lines().map(str::len).max().unwrap();
    assert!(longest < 300, "a line of {longest} bytes: {err}");
}

#[test]
fn log_and_info_show_an_ipv4_peer_of_an_ipv6_listener_as_ipv4() {
    let process = ServerProcess::spawn(&mut command(&["--listen", "[::]:0", "--workers", "4"]));
    let mut client = Client::connect((Ipv4Addr::LOCALHOST, process.address.port()).into()).open("/info");
    let peer = client.stream.local_addr().unwrap().to_string();
    let info = client.read_text();
    assert!(info.contains(&format!("\"peer\":\"{peer}\"")), "not {peer}: {info}");
    client.close();
    let mut over_ipv6 = Client::connect((Ipv6Addr::LOCALHOST, process.address.port()).into()).open("/info");
    assert!(over_ipv6.read_text().contains("\"peer\":\"[::1]:"));
    over_ipv6.close();
    process.signal("INT");
    let (_, _, err) = process.wait();
    assert!(err.contains(&format!(" {peer} opened")) && !err.contains("::ffff:"), "{err}");
}

#[test]
fn closed_standard_output_does_not_stop_the_server() {
    let mut process = ServerProcess::start(&[]);
    drop(std::mem::replace(&mut process.out, BufReader::new(ended_output())));
    process.open("/").close();
    process.signal("TERM");
    eventually("it ends", || process.child.try_wait().unwrap().is_some());
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

/// Returns the standard output of another process, which has ended.
fn ended_output() -> ChildStdout {
    Command::new("true").stdout(Stdio::piped()).spawn().unwrap().stdout.take().unwrap()
}
