//! Start of the server binary: environment, dynamic loader, file capabilities.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::BufReader;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::{env, process, thread};

use crate::harness::{Client, Frame, TEST_TIMEOUT, masked, upgrade};
use crate::server_process::{ServerProcess, command, ready_line};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_ws-echo");

/// Earlier versions executed themselves again to set this variable.
const THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_";

/// Search path for the tools that these tests start.
const PATH: (&str, &str) = ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");

/// A directory that every user can enter, removed when it goes out of scope.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("ws-echo-{name}-{}", process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts a program in exactly this environment with these arguments, followed by those of a server on a free
/// port. Kills a program that does not print its ready line in time.
fn start(program: impl AsRef<Path>, arguments: &[&str], environment: &[(&str, &str)]) -> ServerProcess {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).args(["--listen", "127.0.0.1:0", "--workers", "8"]);
    command.env_clear().envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let address = ready_line(&mut out, "ws");
        let _ = sender.send((out, address));
    });
    let Ok((out, address)) = receiver.recv_timeout(TEST_TIMEOUT) else {
        let _ = child.kill();
        panic!("{command:?} did not get ready: {:?}", child.wait_with_output());
    };
    ServerProcess { child, out, address }
}

/// Echoes a message, stops the server with SIGTERM, and expects exit code 0.
fn echo_and_stop(server: ServerProcess) {
    let mut client = Client::connect(server.address);
    client.send(upgrade("/echo"));
    assert!(client.read_head().starts_with("HTTP/1.1 101 "));
    client.send(masked(0x82, "here"));
    assert_eq!(client.read_frame(), Frame::new(0x82, "here"));
    client.close();
    server.signal("TERM");
    let (code, out, err) = server.wait();
    assert_eq!(code, Some(0), "{out}{err}");
}

/// Returns the environment that a process was executed with.
fn environment_of(pid: u32) -> BTreeSet<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let variables = bytes.split(|&byte| byte == 0).filter(|variable| !variable.is_empty());
    variables.map(|variable| String::from_utf8(variable.to_vec()).unwrap()).collect()
}

#[test]
fn start_executes_once_and_keeps_the_environment() {
    // The kernel names a process after the file of its last exec(2). A program that executes itself again
    // executes the target of the link, and loses this name.
    const NAME: &str = "started-once";
    let directory = Directory::new("once");
    let link = directory.0.join(NAME);
    symlink(PROGRAM, &link).unwrap();
    for threshold in [None, Some("131072"), Some(""), Some("x"), Some("0")] {
        let threshold = threshold.map(|value| (THRESHOLD, value));
        let given: Vec<_> = [PATH, ("ODD", "a=b")].into_iter().chain(threshold).collect();
        let server = start(&link, &[], &given);
        let expected = given.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(environment_of(server.id()), expected);
        assert_eq!(fs::read_to_string(format!("/proc/{}/comm", server.id())).unwrap().trim(), NAME);
        echo_and_stop(server);
    }
}

#[cfg(target_env = "gnu")]
#[test]
fn start_through_the_dynamic_loader_works() {
    const LOADERS: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let Some(loader) = LOADERS.into_iter().find(|loader| Path::new(loader).exists()) else {
        println!("skipped: no dynamic loader at {}", LOADERS.join(" or "));
        return;
    };
    echo_and_stop(start(loader, &[PROGRAM], &[PATH]));
}

/// Runs a tool to its end. The error is the reason why a test is skipped.
fn run(tool: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(tool).args(arguments).env(PATH.0, PATH.1).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{tool}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{tool} {}: {}, {}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    ))
}

#[test]
fn start_with_a_file_capability_as_another_user_works() {
    const AS_NOBODY: [&str; 5] = ["--reuid=65534", "--regid=65534", "--clear-groups", "--", "PROGRAM"];
    let directory = Directory::new("capability");
    let copy = directory.0.join("ws-echo");
    fs::copy(PROGRAM, &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    let copy = copy.to_str().unwrap();
    let mut starter = AS_NOBODY;
    starter[4] = copy;
    let possible = run("setcap", &["cap_net_bind_service=+ep", copy])
        // The kernel does not execute the copy where the capability is not in the bounding set.
        .and_then(|()| run("setpriv", &[&starter[..], &["--version"]].concat()));
    if let Err(reason) = possible {
        println!("skipped: {reason}");
        return;
    }
    let server = start("setpriv", &starter, &[PATH]);
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    assert!(status.contains("Uid:\t65534\t65534\t65534\t65534\n"), "{status}");
    assert!(status.contains("CapEff:\t0000000000000400\n"), "{status}");
    echo_and_stop(server);
}

#[test]
fn invalid_tuning_is_one_line_and_a_valid_one_starts() {
    for (value, wanted) in [("no_such=1", "unknown name no_such"), ("turn_steps=0", "turn_steps must be")] {
        let output = command(&["--listen", "127.0.0.1:0"]).env("WS_ECHO_TUNE", value).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
    let tuning =
        "max_events=1,turn_steps=1,turn_bytes=1,direct_write_min=1,buffer_idle_ms=1,large_read_buffer=14";
    echo_and_stop(start(PROGRAM, &[], &[PATH, ("WS_ECHO_TUNE", tuning)]));
}
