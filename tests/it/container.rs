//! The container: the last stage of `scripts/container/Dockerfile` with a static program of this machine,
//! built and run by buildah without a container engine.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use crate::harness::{eventually, text};
use crate::scratch::Scratch;
use crate::server_process::{ServerProcess, ready_line};

/// User and group of the image.
const USER: &str = "65532";

/// Returns the static server that `scripts/test` builds.
fn static_server() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_ws-echo")).ancestors().nth(2).unwrap();
    target.join(format!("{}-unknown-linux-musl/debug/ws-echo", std::env::consts::ARCH))
}

/// A store of images and containers, with one container, removed on drop.
struct Container {
    scratch: Scratch,
    id: String,
}

impl Container {
    /// Builds the last stage of the image and makes a container of it.
    fn new() -> Self {
        let scratch = Scratch::new("container");
        // What the first stage makes: an additional build context replaces it.
        let programs = scratch.0.join("stage/programs");
        fs::create_dir_all(&programs).unwrap();
        fs::copy(static_server(), programs.join("ws-echo")).unwrap();
        let mut container = Self { scratch, id: String::new() };
        let stage = format!("build={}", container.scratch.path("stage"));
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/container/Dockerfile");
        let build = ["bud", "--isolation", "chroot", "--format", "docker", "--target", "image"];
        let arguments =
            ["--build-arg", "COMMIT=0123abcd", "--build-context", &stage, "-f", file, "-t", "ws-echo:it"];
        container.buildah(&[&build[..], &arguments, &[&container.scratch.path("stage")]].concat());
        let id = container.buildah(&["from", "--pull-never", "localhost/ws-echo:it"]);
        id.trim().clone_into(&mut container.id);
        container
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        command.args(["--storage-driver", "vfs"]);
        command.args(["--root", &self.scratch.path("images"), "--runroot", &self.scratch.path("run")]);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs buildah to its end, successfully. Returns its standard output.
    fn buildah(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        out
    }

    /// Returns a program in the container, with a variable of its environment.
    fn run(&self, variable: &str, program: &[&str]) -> Command {
        let run = ["run", "--isolation", "chroot", "--env", variable, &self.id, "--"];
        self.command(&[&run[..], program].concat())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.command(&["rm", "--all"]).output();
    }
}

/// Returns the process with this name whose ancestor is `ancestor`.
fn descendant(ancestor: u32, name: &str) -> Option<u32> {
    let parent_of = |pid: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let mut named = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
    });
    named.find(|pid| std::iter::successors(Some(*pid), |pid| parent_of(*pid)).any(|pid| pid == ancestor))
}

/// Sends SIGTERM to a process that is not a child of the test.
fn terminate(pid: u32) {
    assert!(Command::new("kill").args(["-s", "TERM", &pid.to_string()]).status().unwrap().success());
}

#[test]
#[ignore = "needs buildah and the musl target; scripts/test installs them"]
fn container_serves_answers_its_health_check_and_stops_on_sigterm() {
    let container = Container::new();
    let image: Json =
        serde_json::from_str(&container.buildah(&["inspect", "--type", "image", "localhost/ws-echo:it"]))
            .unwrap();
    let config = &image["Docker"]["config"];
    assert_eq!(config["User"], "65532:65532", "{config}");
    assert_eq!(
        config["Healthcheck"]["Test"],
        serde_json::json!(["CMD", "/ws-echo", "healthcheck"]),
        "{config}"
    );
    assert_eq!(config["Entrypoint"], serde_json::json!(["/ws-echo"]), "{config}");
    assert_eq!(config["Labels"]["org.opencontainers.image.revision"], "0123abcd", "{config}");
    assert_eq!(config["Labels"]["org.opencontainers.image.licenses"], "MIT", "{config}");

    let mut child = container.run("WS_ECHO_LISTEN=127.0.0.1:0", &["/ws-echo"]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let address = ready_line(&mut out, "ws");
    let server = ServerProcess { child, out, address };
    let pid = descendant(server.id(), "ws-echo").expect("the server in the container");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for id in ["Uid", "Gid"] {
        assert!(status.contains(&format!("{id}:\t{USER}\t{USER}\t{USER}\t{USER}\n")), "{status}");
    }
    let mut client = server.open("/");
    client.send(text("contained"));
    assert_eq!(client.read_text(), "Received: contained");
    let listen = format!("WS_ECHO_LISTEN={address}");
    let check = || container.run(&listen, &["/ws-echo", "healthcheck"]).output().unwrap();
    let healthy = check();
    assert!(healthy.status.success(), "{healthy:?}");
    client.close();
    terminate(pid);
    let (code, out, err) = server.wait();
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("stopped after "), "{out}");
    assert!(err.lines().any(|line| line.contains(" INFO ") && line.contains("shutting down")), "{err}");
    assert_eq!(check().status.code(), Some(1), "no server");
}

#[test]
#[ignore = "needs buildah and the musl target; scripts/test installs them"]
fn container_server_as_process_1_of_an_empty_root_stops_on_sigterm() {
    let root = Scratch::new("root");
    fs::copy(static_server(), root.0.join("ws-echo")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", &format!("--root={}", root.0.display())]);
    command.args(["--setuid", USER, "--setgid", USER, "/ws-echo", "--listen", "127.0.0.1:0"]);
    let server =
        ServerProcess::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut pid = None;
    eventually("unshare starts it", || {
        pid = descendant(server.id(), "ws-echo");
        pid.is_some()
    });
    let status = fs::read_to_string(format!("/proc/{}/status", pid.unwrap())).unwrap();
    // The last one is the number in the innermost namespace.
    let inner = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    assert_eq!(inner.split_whitespace().last(), Some("1"), "{status}");
    server.open("/echo").close();
    terminate(pid.unwrap());
    let (code, out, err) = server.wait();
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("1 closed cleanly"), "{out}");
}
