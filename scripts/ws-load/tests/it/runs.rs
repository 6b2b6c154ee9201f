//! Runs of `ws-load` as a process, and their results.

use rustix::process::Signal;
use serde_json::Value;
use std::{
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

/// The result of a run.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) json: Value,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr, json } = self;
        let counts = json["counts"].as_object().into_iter().flatten().filter(|(_, count)| **count != 0);
        let counts: Vec<_> = counts.map(|(name, count)| format!("{name}: {count}")).collect();
        write!(f, "exit code {code:?}, {}\n{stdout}{stderr}", counts.join(", "))
    }
}

impl Run {
    /// Returns the summary without its line breaks.
    pub(crate) fn words(&self) -> String {
        self.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        self.json["counts"][name].as_u64().unwrap_or_else(|| panic!("no count {name}: {self:?}"))
    }

    pub(crate) fn number(&self, path: &str) -> f64 {
        self.json
            .pointer(path)
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("no number {path}: {self:?}"))
    }
}

/// Returns a path in the build's temporary directory that no other test uses.
pub(crate) fn scratch(name: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("load-{}-{number}-{name}", std::process::id()))
}

/// A run that goes on. Each has a limit of its own, so waiting for its end is bounded.
pub(crate) struct StartedRun {
    child: Child,
    json: PathBuf,
}

/// Starts `ws-load` against `url`.
pub(crate) fn start(url: &str, options: &[&str]) -> StartedRun {
    start_through(&[env!("CARGO_BIN_EXE_ws-load")], url, options)
}

/// Starts `ws-load` against `url`, through the program and the arguments of `command`, which end with the
/// path of `ws-load`.
pub(crate) fn start_through(command: &[&str], url: &str, options: &[&str]) -> StartedRun {
    let json = scratch("result.json");
    let child = Command::new(command[0])
        .args(&command[1..])
        .arg(url)
        .args(options)
        .arg("--json")
        .arg(&json)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ws-load starts");
    StartedRun { child, json }
}

impl StartedRun {
    /// Sends SIGINT, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// Returns whether the process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the state of a child").is_some()
    }

    pub(crate) fn wait(self) -> Run {
        let output = self.child.wait_with_output().expect("ws-load ends");
        let text = std::fs::read_to_string(&self.json).unwrap_or_else(|_| "null".into());
        let _ = std::fs::remove_file(&self.json);
        let json = serde_json::from_str(&text).expect("the JSON file is valid");
        Run::from_output(&output, json)
    }
}

impl Run {
    fn from_output(output: &Output, json: Value) -> Self {
        let run = Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            json,
        };
        if !run.json.is_null() {
            run.check_connection_counts();
        }
        run
    }

    /// Checks that every connection that was begun ended in exactly one counted way. Applies to every run of
    /// every test.
    fn check_connection_counts(&self) {
        let sum = |names: &[&str]| {
            names.iter().map(|name| self.json["counts"][name].as_u64().unwrap()).sum::<u64>()
        };
        let [begun, open] =
            [&["opened", "failed", "unfinished"][..], &["closed_clean", "cut", "lost"]].map(sum);
        assert_eq!(
            (sum(&["attempted"]), sum(&["opened"])),
            (begun, open),
            "connections were forgotten: {self:?}"
        );
    }
}

/// Runs `ws-load` to its end.
pub(crate) fn ws_load(url: &str, options: &[&str]) -> Run {
    start(url, options).wait()
}

/// Runs `ws-load merge`.
pub(crate) fn merge(logs: &[PathBuf], options: &[&str]) -> Run {
    let json = scratch("merged.json");
    let output = Command::new(env!("CARGO_BIN_EXE_ws-load"))
        .arg("merge")
        .args(logs)
        .args(options)
        .arg("--json")
        .arg(&json)
        .output()
        .expect("ws-load starts");
    let text = std::fs::read_to_string(&json).unwrap_or_else(|_| "null".into());
    let _ = std::fs::remove_file(&json);
    Run::from_output(&output, serde_json::from_str(&text).expect("the JSON file is valid"))
}

/// Returns the counters of wrong replies and failed connections that are not zero.
pub(crate) fn faults(run: &Run) -> Vec<(&str, u64)> {
    const NAMES: [&str; 10] = [
        "changed",
        "wrong_kind",
        "reordered",
        "repeated",
        "misdelivered",
        "unasked",
        "late",
        "missing",
        "failed",
        "lost",
    ];
    NAMES.into_iter().map(|name| (name, run.count(name))).filter(|(_, count)| *count > 0).collect()
}
