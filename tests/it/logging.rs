//! Log lines of the real binary: what happens if they are not read, and the fields of JSON.

use std::io::{BufRead, BufReader, Lines};
use std::process::{ChildStderr, Command};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::harness::{Client, Frame, TEST_TIMEOUT, eventually, exchange, metric, text};
use crate::server_process::{ServerProcess, command, command_after};

/// Messages of a burst. Each makes two lines of 170 bytes at the level debug: more than a pipe holds.
const BURST: usize = 1000;

/// The metric that counts dropped lines.
const DROPPED: &str = "ws_echo_log_lines_dropped_total";

/// Starts a server that logs each message.
fn start_at_debug(command: &mut Command) -> ServerProcess {
    ServerProcess::spawn(command.env("RUST_LOG", "ws_echo=debug"))
}

/// Echoes a burst of messages.
fn echo_burst(client: &mut Client) {
    client.send(text(&"x".repeat(120)).repeat(BURST));
    for _ in 0..BURST {
        client.read_text();
    }
}

/// Echoes messages until log lines are dropped. Returns the session.
fn log_until_lines_are_dropped(process: &ServerProcess) -> Client {
    let mut client = process.open("/echo");
    eventually("lines are dropped", || {
        echo_burst(&mut client);
        metric(process.address, DROPPED) > 0
    });
    client
}

#[test]
fn log_that_is_not_read_holds_up_neither_sessions_nor_health_nor_the_stop() {
    const BOTH_IN_ONE_PIPE: &str = r#"exec "$@" 2>&1"#;
    for mut command in [
        command(&["--listen", "127.0.0.1:0", "--workers", "8"]),
        command_after(&["sh", "-c", BOTH_IN_ONE_PIPE, "sh"], &["--workers", "8"]),
    ] {
        let process = start_at_debug(&mut command);
        let mut client = log_until_lines_are_dropped(&process);
        echo_burst(&mut client);
        let mut late = process.open("/echo");
        echo_burst(&mut late);
        let health = exchange(process.address, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
        let begun = Instant::now();
        process.signal("TERM");
        for client in [&mut client, &mut late] {
            assert_eq!(client.read_frame().code(), 1001);
        }
        drop((client, late));
        assert_eq!(process.wait().0, Some(0));
        assert!(begun.elapsed() < Duration::from_secs(10), "it stopped after {:.1?}", begun.elapsed());
    }
}

/// Reads lines on a thread of its own.
fn read_lines(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let lines: Lines<_> = BufReader::new(stderr).lines();
    thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

/// Returns the number in a line about dropped lines.
fn dropped_in(line: &str) -> Option<u64> {
    let (before, _) = line.split_once(" log lines dropped")?;
    Some(before.rsplit(' ').next()?.parse().unwrap())
}

#[test]
fn log_that_is_read_again_reports_the_dropped_lines_and_goes_on() {
    let mut process = start_at_debug(&mut command(&["--listen", "127.0.0.1:0", "--workers", "8"]));
    let mut client = log_until_lines_are_dropped(&process);
    let lines = read_lines(process.child.stderr.take().unwrap());
    let next = || lines.recv_timeout(TEST_TIMEOUT).expect("another line");
    let mut dropped = 0;
    while dropped == 0 {
        dropped = dropped_in(&next()).unwrap_or(0);
    }
    let mut later = process.open("/later");
    loop {
        let line = next();
        dropped += dropped_in(&line).unwrap_or(0);
        if line.contains("opened /later") {
            break;
        }
    }
    assert_eq!(dropped, metric(process.address, DROPPED));
    process.signal("TERM");
    assert_eq!((client.read_frame().code(), later.read_frame().code()), (1001, 1001));
    drop((client, later));
    eventually("it ends", || process.child.try_wait().unwrap().is_some());
    let rest: Vec<_> = lines.iter().collect();
    assert!(rest.iter().any(|line| line.contains("shutting down: ")), "{rest:?}");
    assert_eq!(
        rest.iter().filter(|line| line.contains("closed by the server with 1001")).count(),
        2,
        "the last lines: {rest:?}"
    );
}

/// Stops a server. Returns its log lines.
fn stop(process: ServerProcess) -> Vec<String> {
    process.signal("TERM");
    let (code, _, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
    err.lines().map(str::to_owned).collect()
}

/// Returns the object whose message contains these words.
fn object_with(lines: &[String], words: &str) -> Json {
    let objects = lines.iter().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let mut found = objects.filter(|object| object["message"].as_str().unwrap().contains(words));
    found.next().unwrap_or_else(|| panic!("no `{words}` in {lines:#?}"))
}

/// Checks the values of fields.
fn expect_fields(object: &Json, fields: &[(&str, Json)]) {
    for (name, value) in fields {
        assert_eq!(&object[name], value, "{name} in {object}");
    }
}

#[test]
fn log_format_json_has_fields_also_in_ready_line_and_summary() {
    let process = ServerProcess::start(&["--log-format", "json", "--workers", "8"]);
    let ready = format!("ws://{}/", process.address);
    let mut client = process.open("/echo");
    let peer = client.stream.local_addr().unwrap().to_string();
    for message in ["one", "two"] {
        client.send(text(message));
        assert_eq!(client.read_frame(), Frame::new(0x81, message));
    }
    client.close();
    exchange(process.address, "GET /absent HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let lines = stop(process);
    let opened = object_with(&lines, " opened /echo");
    expect_fields(&opened, &[("session", 1.into()), ("peer", peer.clone().into()), ("path", "/echo".into())]);
    let traffic = [
        ("messages_in", 2.into()),
        ("messages_out", 2.into()),
        ("bytes_in", 6.into()),
        ("bytes_out", 6.into()),
    ];
    let closed = object_with(&lines, " closed by the client with 1000");
    expect_fields(&closed, &traffic);
    expect_fields(&closed, &[("session", 1.into()), ("peer", peer.into()), ("code", 1000.into())]);
    assert!(closed["duration_ms"].is_u64(), "{closed}");
    let response = object_with(&lines, " GET /absent: 404");
    expect_fields(&response, &[("session", 2.into()), ("path", "/absent".into()), ("status", 404.into())]);
    expect_fields(&object_with(&lines, "listening on "), &[("address", ready.into()), ("workers", 8.into())]);
    let summary = object_with(&lines, "stopped after ");
    expect_fields(&summary, &traffic);
    expect_fields(
        &summary,
        &[("accepted", 2.into()), ("sessions_ended", 1.into()), ("closed_cleanly", 1.into())],
    );
}

#[test]
fn log_format_json_reports_a_failed_start_as_json() {
    let first = ServerProcess::start(&[]);
    let address = first.address.to_string();
    let output = command(&["--log-format", "json", "--listen", &address]).output().unwrap();
    let lines: Vec<_> = str::from_utf8(&output.stderr).unwrap().lines().map(str::to_owned).collect();
    assert_eq!((output.status.code(), lines.len()), (Some(1), 1), "{lines:?}");
    expect_fields(&object_with(&lines, "cannot listen on "), &[("level", "ERROR".into())]);
}

#[test]
fn log_format_text_has_no_fields_and_neither_ready_line_nor_summary() {
    let process = ServerProcess::start(&[]);
    let client = process.open("/echo");
    let peer = client.stream.local_addr().unwrap();
    client.close();
    let lines = stop(process);
    let texts: Vec<_> = lines.iter().map(|line| line.split_once("] ").unwrap().1).collect();
    assert_eq!(texts[0], format!("#1 {peer} opened /echo"));
    assert!(
        texts[1].starts_with(&format!("#1 {peer} closed by the client with 1000 (clean) after ")),
        "{texts:?}"
    );
    assert!(texts[1].ends_with("; messages: 0 in, 0 out"), "{texts:?}");
    // The supervisor may not have counted the end of the session yet.
    let stop = [0, 1].map(|open| format!("shutting down: {open} sessions, drain timeout 10 s"));
    assert!(texts.len() == 3 && stop.iter().any(|line| line == texts[2]), "{texts:?}");
}

#[test]
fn client_that_does_not_read_is_one_warning() {
    let process = ServerProcess::start(&["--write-timeout", "500ms", "--close-timeout", "500ms"]);
    let client = process.open("/source?size=1MiB&count=1000");
    let peer = client.stream.local_addr().unwrap().to_string();
    let cut = "ws_echo_sessions_cut_total";
    eventually("it is aborted", || metric(process.address, cut) == 1);
    // Longer than both time-outs.
    let mut pause = process.open("/delay?ms=1500");
    pause.send(text("pause"));
    pause.read_text();
    pause.close();
    let lines = stop(process);
    let of_client: Vec<_> = lines.iter().filter(|line| line.contains(&format!(" {peer} "))).collect();
    assert_eq!(of_client.len(), 3, "opened, aborted, ended: {of_client:#?}");
    assert_eq!(of_client.iter().filter(|line| line.contains("write timeout, aborted")).count(), 1);
}
