//! Clients of other projects, Python's `websockets` and Node's `ws`, with the real binary.
//!
//! Their programs are in `tests/clients`. `scripts/test` installs them under `target/clients`.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::TEST_TIMEOUT;
use crate::server_process::{ServerProcess, command, ready_line};
use crate::tls_server::Files;

/// Longest time for a whole client program, which has many waits.
const CLIENT_TIMEOUT: Duration = TEST_TIMEOUT.saturating_mul(6);

/// The language of a client.
#[derive(Clone, Copy, Debug)]
enum Language {
    Python,
    Node,
}

/// A running client, killed on drop.
struct ForeignClient(Child);

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

impl ForeignClient {
    /// Starts a client: its task, the server's URL, and the certificate to trust.
    fn start(language: Language, what: &str, server: &str, trusted: Option<&Path>) -> Self {
        let (program, script) = match language {
            Language::Python => (repository("target/clients/venv/bin/python"), "tests/clients/session.py"),
            Language::Node => (PathBuf::from("node"), "tests/clients/session.js"),
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

    /// Waits for the line `ready`.
    fn await_ready(&mut self) {
        let mut line = String::new();
        // Every wait of the client is bounded, so this one is.
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{}", self.errors());
    }

    /// Waits for its end, which must be a success.
    fn finish(mut self) {
        let deadline = Instant::now() + CLIENT_TIMEOUT;
        let status = loop {
            match self.0.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "the client does not end"),
            }
            thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success(), "{}", self.errors());
    }

    /// Kills it, and returns its standard error.
    fn errors(&mut self) -> String {
        let mut errors = String::new();
        let _ = self.0.kill();
        self.0.stderr.as_mut().unwrap().read_to_string(&mut errors).unwrap();
        errors
    }
}

impl Drop for ForeignClient {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server that listens with TLS and without.
fn server(files: &Files) -> (ServerProcess, SocketAddr) {
    let mut process = ServerProcess::spawn(
        command(&["--listen=127.0.0.1:0", "--tls-listen=127.0.0.1:0", "--workers=8", "--tls-cert"])
            .arg(&files.certificate)
            .arg("--tls-key")
            .arg(&files.key),
    );
    let secure = ready_line(&mut process.out, "wss");
    (process, secure)
}

/// Runs `talk` over ws:// and over wss://. The server must count clean closes only.
fn talk(language: Language) {
    let files = Files::new();
    let (process, secure) = server(&files);
    ForeignClient::start(language, "talk", &format!("ws://{}", process.address), None).finish();
    let secure = format!("wss://localhost:{}", secure.port());
    ForeignClient::start(language, "talk", &secure, Some(&files.certificate)).finish();
    process.signal("TERM");
    let (code, out, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
    for part in ["8 closed cleanly, 0 aborted", "client 4xxx: 8", "panics       0"] {
        assert!(out.contains(part), "no `{part}` in {out}{err}");
    }
}

/// Stops the server while clients are connected over ws:// and over wss://.
fn stop(language: Language) {
    let files = Files::new();
    let (process, secure) = server(&files);
    let plain = format!("ws://{}", process.address);
    let secure = format!("wss://localhost:{}", secure.port());
    let mut clients = [(plain, None), (secure, Some(files.certificate.as_path()))]
        .map(|(server, trusted)| ForeignClient::start(language, "stop", &server, trusted));
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
fn python_websockets_get_correct_replies() {
    talk(Language::Python);
}

#[test]
#[ignore = "needs websockets from PyPI: scripts/test installs and runs it"]
fn python_websockets_get_1001_at_shutdown() {
    stop(Language::Python);
}

#[test]
#[ignore = "needs Node and ws from npm: scripts/test installs and runs it"]
fn node_ws_gets_correct_replies() {
    talk(Language::Node);
}

#[test]
#[ignore = "needs Node and ws from npm: scripts/test installs and runs it"]
fn node_ws_gets_1001_at_shutdown() {
    stop(Language::Node);
}
