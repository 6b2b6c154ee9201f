//! The real server binary as a child process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Client, TEST_TIMEOUT, upgrade};

/// A running server, killed on drop.
pub struct ServerProcess {
    pub child: Child,
    pub out: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

/// Returns the server with these arguments, without the variables of the tests' own environment.
pub fn command(arguments: &[&str]) -> Command {
    without_environment(Command::new(env!("CARGO_BIN_EXE_ws-echo")), arguments)
}

/// Returns the server on a free port, started by a program that changes limits, signals or priorities first.
pub fn command_after(starter: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new(starter[0]);
    command.args(&starter[1..]).args([env!("CARGO_BIN_EXE_ws-echo"), "--listen", "127.0.0.1:0"]);
    without_environment(command, arguments)
}

/// Returns a program with its first arguments, followed by `arguments`.
pub fn command_of(program: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]);
    without_environment(command, arguments)
}

/// Adds arguments and removes the variables of the tests' own environment.
fn without_environment(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WS_ECHO_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command
}

impl ServerProcess {
    pub fn start(arguments: &[&str]) -> Self {
        Self::spawn(command(&["--listen", "127.0.0.1:0"]).args(arguments))
    }

    pub fn spawn(command: &mut Command) -> Self {
        Self::of(command.spawn().unwrap())
    }

    /// Waits for the ready line of a server that was started.
    pub fn of(mut child: Child) -> Self {
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let address = ready_line(&mut out, "ws");
        Self { child, out, address }
    }

    pub fn open(&self, path: &str) -> Client {
        let mut client = Client::connect(self.address);
        client.send(upgrade(path));
        assert!(client.read_head().starts_with("HTTP/1.1 101 "));
        client
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for the end. Returns the exit code, the standard output after the ready line, and standard error
    /// unless [`LogLines`] reads it.
    pub fn wait(mut self) -> (Option<i32>, String, String) {
        let deadline = Instant::now() + TEST_TIMEOUT;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        }
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        if let Some(mut log) = self.child.stderr.take() {
            log.read_to_string(&mut err).unwrap();
        }
        (self.child.wait().unwrap().code(), out, err)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The log of a server, line by line as it is written.
pub struct LogLines(Receiver<String>);

impl LogLines {
    /// Reads the standard error of a server from now on.
    pub fn of(process: &mut ServerProcess) -> Self {
        let log = BufReader::new(process.child.stderr.take().unwrap());
        let (sender, receiver) = channel();
        thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self(receiver)
    }

    /// Waits for a line with these words and returns it. Discards the lines before it.
    pub fn expect(&self, words: &str) -> String {
        self.until(words).pop().unwrap()
    }

    /// Waits for a line with these words. Returns the lines up to it.
    pub fn until(&self, words: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.0.recv_timeout(TEST_TIMEOUT) {
                Ok(line) => lines.push(line),
                Err(error) => panic!("no line with `{words}`: {error} after {lines:#?}"),
            }
            if lines.last().is_some_and(|line| line.contains(words)) {
                return lines;
            }
        }
    }

    /// Returns the lines that have not been read, up to the end of the server.
    pub fn rest(self) -> Vec<String> {
        self.0.iter().collect()
    }
}

/// Reads a ready line and returns the address in it.
pub fn ready_line(out: &mut impl BufRead, scheme: &str) -> SocketAddr {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let prefix = format!("listening on {scheme}://");
    let address = line.trim().strip_prefix(&prefix).and_then(|rest| rest.strip_suffix('/'));
    address.unwrap_or_else(|| panic!("not a ready line: {line}")).parse().unwrap()
}
