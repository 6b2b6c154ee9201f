//! A common start of several generators: `--start-at`, and `scripts/load-fleet`.

mod ssh;

use crate::{
    runs::{scratch, start, ws_load},
    test_servers::Server,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant, SystemTime},
};

/// Returns the start of the measured time in a log, in nanoseconds since 1970.
fn measured_from(log: &Path) -> u64 {
    let text = fs::read_to_string(log).unwrap();
    let rest = text.split_once("\"measured_from_ns\":").unwrap_or_else(|| panic!("{text}")).1;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Returns an echo server that counts its sessions instead of the messages.
fn echo_that_counts_openings() -> Server {
    Server::raw(|stream, _, openings| {
        let Ok(mut session) = tungstenite::accept(stream) else { return };
        openings.fetch_add(1, Ordering::Relaxed);
        while let Ok(message) = session.read() {
            if message.is_text() && session.send(message).is_err() {
                return;
            }
        }
    })
}

fn wait_for_openings(server: &Server, count: u64) {
    let begun = Instant::now();
    while server.counted() < count {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} connections", server.counted());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs `scripts/load-fleet` with two processes. Returns its exit code and output.
fn fleet(options: &[&str], load: &[&str]) -> (Option<i32>, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../load-fleet");
    let program = ["--load", env!("CARGO_BIN_EXE_ws-load"), "--in", "4", "local:2"];
    let output = Command::new(script).args(program).args(options).arg("--").args(load).output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (output.status.code(), text)
}

#[test]
fn start_at_is_when_the_load_starts_whenever_the_generator_was_started() {
    let server = echo_that_counts_openings();
    let at = SystemTime::now() + Duration::from_millis(1500);
    let time = humantime::format_rfc3339_millis(at).to_string();
    let logs = [scratch("first.hlog"), scratch("second.hlog")];
    let run = |log: &Path| {
        let log = log.to_str().unwrap();
        start(
            &server.url(),
            &["-c", "2", "--rate", "100", "-D", "300ms", "--start-at", &time, "--hdr-log", log],
        )
    };
    let first = run(&logs[0]);
    wait_for_openings(&server, 2);
    let second = run(&logs[1]);
    for run in [first.wait(), second.wait()] {
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    let wanted = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    for log in &logs {
        let from = u128::from(measured_from(log)) / 1_000_000;
        assert!(from.abs_diff(wanted) < 100, "{from} instead of {wanted}");
        let _ = fs::remove_file(log);
    }
}

#[test]
fn start_at_in_the_past_is_a_usage_error_that_says_how_far() {
    let server = Server::echo();
    let run = ws_load(&server.url(), &["--start-at", "2020-01-01T00:00:00Z"]);
    assert_eq!((run.code, run.stderr.lines().count()), (Some(2), 1), "{run:?}");
    assert!(run.stderr.contains(" s ago by the clock of this machine"), "{run:?}");
}

#[test]
fn start_at_can_be_interrupted() {
    let server = echo_that_counts_openings();
    let run = start(&server.url(), &["-c", "2", "--start-at", "+1h"]);
    wait_for_openings(&server, 2);
    run.interrupt();
    let run = run.wait();
    assert_eq!(run.code, Some(130), "{run:?}");
    assert_eq!(run.count("sent"), 0, "{run:?}");
}

#[test]
fn load_fleet_starts_merges_and_judges() {
    let server = Server::echo();
    let logs = scratch("fleet");
    let (json, folder) = (scratch("fleet.json"), logs.to_str().unwrap().to_owned());
    let json_option = format!("--json={}", json.display());
    let load = [&server.url(), "-c", "2", "--rate", "200", "-D", "1s"].map(str::to_owned);
    let load: Vec<&str> = load.iter().map(String::as_str).collect();
    let (code, text) = fleet(&["--logs", &folder, "--assert", "errors==0", &json_option], &load);
    assert_eq!(code, Some(0), "{text}");
    let merged: serde_json::Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(merged["counts"]["opened"], 4, "{text}");
    assert_eq!(merged["counts"]["sent"], 400, "{text}");
    let starts = ["local-1", "local-2"].map(|name| measured_from(&logs.join(format!("{name}.hlog"))));
    assert!(starts[0].abs_diff(starts[1]) < 100_000_000, "{starts:?}");
    let _ = fs::remove_dir_all(&logs);
    let _ = fs::remove_file(&json);

    let (code, text) = fleet(&["--assert", "rate>1000000"], &load);
    assert_eq!(code, Some(3), "{text}");
    let (code, text) = fleet(&[], &["ws://127.0.0.1:1/echo", "-c", "1"]);
    assert!(code.is_some_and(|code| code != 0) && text.contains("local-1 ended with exit code 1"), "{text}");
}

#[test]
fn load_fleet_checks_the_options_before_it_starts_generators() {
    for (options, code, words) in [
        (&["--rte", "5"][..], 2, "unexpected argument '--rte'"),
        (&["--churn", "--rate", "5"], 2, "use --connect-rate"),
        (&["--hdr-log", "x"], 2, "'--hdr-log <FILE>' cannot be used multiple times"),
        (&["--assert", "p99<1s"], 1, "give it before the first HOST"),
    ] {
        let (ended, text) = fleet(&[], &[&["ws://127.0.0.1:1/"], options].concat());
        assert!(ended == Some(code) && text.matches(words).count() == 1, "{options:?}: {ended:?} {text}");
        assert!(!text.contains("local-1"), "{text}");
    }
}

#[test]
fn load_fleet_judges_errors_once_in_the_merged_result() {
    let server = Server::replying(|number, message| if number == 5 { vec![] } else { vec![message] });
    let load = ["-c", "2", "--rate", "50", "-D", "300ms", "--timeout", "200ms", "--drain", "300ms"];
    let (code, text) = fleet(&["--assert", "missing<=4"], &[&[server.url().as_str()], &load[..]].concat());
    assert!(code == Some(0) && text.contains(" ended with exit code 1"), "{code:?} {text}");
}

/// Stands for `kubectl`: runs the Job of a file with two pods, with a small load. Its folder has what it
/// knows.
const KUBECTL: &str = r#"#!/usr/bin/env bash
set -eu
state=$(dirname "$0")
file=$(printf '%s\n' "$@" | sed -n '/^--filename$/{n;p}')
case $1 in
  delete) ;;
  set) sed "s|\"+30s\"|${*: -1}|; s|START_AT=||" "$file" ;;
  create)
    start=$(sed -n '/name: START_AT/{n;s/.*value: //p}' "$file")
    mapfile -t options < <(sed -n 's/^ *- \(--.*\)$/\1/p' "$file" | grep -v 'connections\|rate\|duration')
    options=("${options[@]/'$(START_AT)'/$start}" -c 2 --rate 200 -D 1s)
    for pod in 0 1; do "$LOAD" "$URL" "${options[@]}" >"$state/$pod.log" 2>&1 & done
    wait ;;
  get) if [[ $2 = pods ]]; then printf 'pod/ws-load-%s\n' 0 1; else echo Complete; fi ;;
  logs) cat "$state/${2##*-}.log"; echo 'ws-load: a line of standard error' ;;
esac
"#;

#[test]
fn kubernetes_load_starts_the_pods_together_and_merges_their_logs() {
    let server = Server::echo();
    let folder = scratch("kubectl");
    fs::create_dir(&folder).unwrap();
    let kubectl = folder.join("kubectl");
    fs::write(&kubectl, KUBECTL).unwrap();
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
    let program = env!("CARGO_BIN_EXE_ws-load");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../kubernetes/load"))
        .args(["--in", "6", "--load", program, "--assert", "errors==0", "--json", "-"])
        .envs([("PATH", path.as_str()), ("LOAD", program), ("URL", &server.url())])
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(err.contains("ws-load-1: ws-load: a line of standard error"), "{err}");
    let merged: serde_json::Value = serde_json::from_str(&out[out.find('{').unwrap()..]).unwrap();
    assert_eq!(merged["counts"]["sent"], 400, "{out}");
    let starts = [0, 1].map(|pod| measured_from(&folder.join(format!("{pod}.log"))));
    assert!(starts[0].abs_diff(starts[1]) < 100_000_000, "{starts:?}");
    let _ = fs::remove_dir_all(&folder);
}
