//! `scripts/load-test`, with programs that stand for cargo and the server.

use crate::{runs::scratch, test_servers::Server};
use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

/// Stands for the server: prints the address of the test server, and at SIGINT how many messages it received.
/// The script starts it in the background, where bash ignores SIGINT.
const SERVER: &str = r#"#!/usr/bin/env -S --default-signal=INT bash
trap 'echo "  messages     $RECEIVED in (1 B)"; exit 0' INT
echo "listening on $URL"
while :; do sleep 0.05; done
"#;

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A folder with the programs, which is also cargo's target folder.
struct Programs(PathBuf);

impl Programs {
    fn new() -> Self {
        let folder = scratch("programs");
        fs::create_dir_all(folder.join("release")).unwrap();
        write_program(&folder.join("cargo"), "#!/bin/sh\n");
        write_program(&folder.join("release/ws-echo"), SERVER);
        symlink(env!("CARGO_BIN_EXE_ws-load"), folder.join("release/ws-load")).unwrap();
        Self(folder)
    }

    /// Runs the script in the folder against a server that says that it has received `received` messages.
    /// Returns the exit code and the output.
    fn load_test(&self, received: u64, options: &[&str]) -> (Option<i32>, String) {
        let server = Server::echo();
        let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../load-test"))
            .args(["--json", "result.json", "--report", "result.html", "-c", "2"])
            .args(options)
            .current_dir(&self.0)
            .env("CARGO_TARGET_DIR", &self.0)
            .env("PATH", format!("{}:{}", self.0.display(), env::var("PATH").unwrap()))
            .envs([("URL", server.url()), ("RECEIVED", received.to_string())])
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (output.status.code(), text)
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn load_test_compares_the_messages_of_both_sides() {
    let programs = Programs::new();
    let (code, text) = programs.load_test(50, &["-n", "50"]);
    assert!(code == Some(0) && text.contains("received by the server           50\n"), "{code:?} {text}");
    let (code, text) = programs.load_test(49, &["-n", "50"]);
    assert!(code == Some(1) && text.contains("sent 50 messages, but the server received 49"), "{text}");
    // Each connection sends the message of --first, too.
    let (code, text) = programs.load_test(52, &["-n", "50", "--first", "hello"]);
    assert!(code == Some(0) && text.contains("received by the server           52\n"), "{code:?} {text}");
}

#[test]
fn load_test_compares_no_messages_of_a_search() {
    let search =
        ["--find", "rate>=1000", "--rate", "1", "--find-rounds", "1", "--warmup", "0s", "-D", "200ms"];
    let (code, text) = Programs::new().load_test(1, &search);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("are not compared: --find") && text.contains("\nresults\n"), "{text}");
}

#[test]
fn load_test_does_not_judge_the_results_of_an_earlier_run() {
    let programs = Programs::new();
    let json = programs.0.join("result.json");
    fs::write(&json, "{\n  \"sent\": 5\n}\n").unwrap();
    let (code, text) = programs.load_test(9, &["--rte", "5"]);
    assert!(code == Some(2) && text.contains("unexpected argument '--rte'"), "{code:?} {text}");
    assert!(!text.contains("results\n") && !text.contains("but the server"), "{text}");
    assert!(json.exists(), "a run that is not possible changes no file");
}

#[test]
fn help_of_each_script_has_no_comment_of_its_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let scripts: Vec<_> = files.filter(|path| path.is_file() && path.extension().is_none()).collect();
    assert!(scripts.len() > 10, "{scripts:?}");
    for script in scripts {
        let output = Command::new(&script).arg("--help").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && text.contains("\nUsage: ") | text.starts_with("Usage: "),
            "{text}"
        );
        assert!(!text.contains("shellcheck source") && !text.contains("shellcheck disable"), "{text}");
    }
}
