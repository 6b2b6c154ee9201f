//! Clients that nobody here wrote, the `websockets` of Python and the `ws` of Node, with the real binary.
//!
//! Their side of the conversation is in `tests/clients`. `scripts/test` installs them under `target/clients`.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::binary::{Process, command, ready_line};
use crate::harness::PATIENCE;
use crate::tls::Files;

/// Longest time for a whole conversation, which is far longer than any single wait: a machine may be busy.
const LONG_PATIENCE: Duration = PATIENCE.saturating_mul(6);

/// A language in which there is a client.
#[derive(Clone, Copy, Debug)]
enum Language {
    Python,
    Node,
}

/// A client at work, killed when it goes out of scope.
struct Foreign(Child);

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

impl Foreign {
    /// Starts a client: what it is to do, with whom, and whom it may trust.
    fn start(language: Language, what: &str, server: &str, trusted: Option<&Path>) -> Self {
        let (program, script) = match language {
            Language::Python => {
                (repository("target/clients/venv/bin/python"), "tests/clients/conversation.py")
            }
            Language::Node => (PathBuf::from("node"), "tests/clients/conversation.js"),
        };
        let child = Command::new(&program)
            .arg(repository(script))
            .args([what, server])
            .args(trusted)
            .env("NODE_PATH", repository("target/clients/node_modules"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.unwrap_or_else(|error| {
            panic!("cannot run {}: {error}; scripts/test installs what it needs", program.display())
        }))
    }

    /// Waits until it has said that it is ready.
    fn await_ready(&mut self) {
        let mut line = String::new();
        // Every wait of the client is bounded, so this one is.
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{}", self.complaint());
    }

    /// Waits for its end, which has to be a good one.
    fn finish(mut self) {
        let deadline = Instant::now() + LONG_PATIENCE;
        let status = loop {
            match self.0.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "the client does not end"),
            }
            thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success(), "{}", self.complaint());
    }

    /// What it has written on standard error.
    fn complaint(&mut self) -> String {
        let mut complaint = String::new();
        let _ = self.0.kill();
        self.0.stderr.as_mut().unwrap().read_to_string(&mut complaint).unwrap();
        complaint
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that listens with TLS and without.
fn server(files: &Files) -> (Process, SocketAddr) {
    let mut process = Process::spawn(
        command(&["--listen=127.0.0.1:0", "--tls-listen=127.0.0.1:0", "--workers=8", "--tls-cert"])
            .arg(&files.certificate)
            .arg("--tls-key")
            .arg(&files.key),
    );
    let secure = ready_line(&mut process.out, "wss");
    (process, secure)
}

/// Talks over ws:// and over wss://, compressed and not; the server must see nothing but clean ends.
fn converse(language: Language) {
    let files = Files::new();
    let (process, secure) = server(&files);
    Foreign::start(language, "talk", &format!("ws://{}", process.address), None).finish();
    let secure = format!("wss://localhost:{}", secure.port());
    Foreign::start(language, "talk", &secure, Some(&files.certificate)).finish();
    process.signal("TERM");
    let (code, out, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
    for words in ["8 closed cleanly, 0 aborted", "client 4001: 8", "panics       0"] {
        assert!(out.contains(words), "no `{words}` in {out}{err}");
    }
}

/// Stops the server in the middle of a conversation, over ws:// and over wss://.
fn stop(language: Language) {
    let files = Files::new();
    let (process, secure) = server(&files);
    let plain = format!("ws://{}", process.address);
    let secure = format!("wss://localhost:{}", secure.port());
    let mut clients = [(plain, None), (secure, Some(files.certificate.as_path()))]
        .map(|(server, trusted)| Foreign::start(language, "stop", &server, trusted));
    for client in &mut clients {
        client.await_ready();
    }
    process.signal("TERM");
    for client in clients {
        client.finish();
    }
    let (code, out, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("2 closed cleanly, 0 aborted"), "{out}{err}");
}

#[test]
#[ignore = "needs websockets from PyPI: scripts/test installs and runs it"]
fn python_websockets_hold_a_conversation() {
    converse(Language::Python);
}

#[test]
#[ignore = "needs websockets from PyPI: scripts/test installs and runs it"]
fn python_websockets_are_told_that_the_server_stops() {
    stop(Language::Python);
}

#[test]
#[ignore = "needs Node and ws from npm: scripts/test installs and runs it"]
fn node_ws_holds_a_conversation() {
    converse(Language::Node);
}

#[test]
#[ignore = "needs Node and ws from npm: scripts/test installs and runs it"]
fn node_ws_is_told_that_the_server_stops() {
    stop(Language::Node);
}
