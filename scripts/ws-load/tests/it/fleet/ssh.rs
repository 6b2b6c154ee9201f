//! `scripts/load-fleet` over ssh: a client and servers of OpenSSH with keys of their own, connected by pipes
//! instead of ports.

use super::{echo_that_counts_openings, wait_for_openings};
use crate::{runs::scratch, test_servers::Server};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Longest wait for anything.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A folder with keys and configuration of hosts that are this machine, removed on drop.
///
/// The hosts are `near`, `other`, and `late`, whose `date` is 3 s ahead.
struct Hosts(PathBuf);

impl Hosts {
    fn new() -> Self {
        let hosts = Self(scratch("ssh"));
        let folder = hosts.0.display();
        fs::create_dir_all(&hosts.0).unwrap();
        // sshd of root needs it; Debian makes it when the service starts.
        let _ = fs::create_dir_all("/run/sshd");
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(hosts.path(key))
                .status()
                .unwrap();
            assert!(made.success());
        }
        // The process with this id serves the connection of a host.
        let sshd =
            hosts.program("sshd", "echo $$ >>\"${0%sshd}$2.ids\"; exec $(command -v sshd) -i -f \"$1\"");
        let date = hosts.program("bin/date", "exec /bin/date --date '+3 seconds' \"$@\"");
        let (user, late) = (user(), date.parent().unwrap().display());
        let settings = format!(
            "HostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n"
        );
        hosts.write("here.conf", &settings);
        hosts.write(
            "late.conf",
            &format!("{settings}ForceCommand PATH={late}:$PATH sh -c \"$SSH_ORIGINAL_COMMAND\"\n"),
        );
        let sshd = sshd.display();
        hosts.write(
            "config",
            &format!(
                "Host late\n ProxyCommand {sshd} {folder}/late.conf %n\n\
                 Host near other\n ProxyCommand {sshd} {folder}/here.conf %n\n\
                 Host unreachable\n ProxyCommand false\n\
                 Host *\n User {user}\n IdentityFile {folder}/user\n IdentitiesOnly yes\n\
                 UserKnownHostsFile {folder}/known\n StrictHostKeyChecking accept-new\n"
            ),
        );
        hosts.program(
            "ws-load",
            &format!("echo $$ >>\"$0.ids\"; exec {} \"$@\"", env!("CARGO_BIN_EXE_ws-load")),
        );
        hosts
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes a program of sh.
    fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Starts `scripts/load-fleet`, in a process group of its own as a shell does.
    fn start(&self, options: &[&str], url: &str, load: &[&str]) -> Fleet {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../load-fleet");
        let ssh = format!("ssh -F {}", self.path("config").display());
        let child = Command::new("env")
            // Shells ignore SIGINT in background jobs, and bash cannot handle it then.
            .args(["--default-signal=INT", script, "--in", "4", "--ssh", &ssh])
            .args(options)
            .args(["--", url])
            .args(load)
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Fleet(child)
    }

    /// Returns the processes that serve a host, or those of `ws-load`.
    fn ids(&self, name: &str) -> Vec<Pid> {
        let text = fs::read_to_string(self.path(&format!("{name}.ids"))).unwrap_or_default();
        text.lines().map(|id| Pid::from_raw(id.parse().unwrap()).unwrap()).collect()
    }

    /// Waits until none of the generators that were started runs.
    fn expect_no_generator(&self) {
        let generators = self.ids("ws-load");
        assert!(!generators.is_empty());
        eventually("no generator runs", || {
            generators.iter().all(|id| !Path::new(&format!("/proc/{}", id.as_raw_pid())).exists())
        });
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A `load-fleet` that runs.
struct Fleet(Child);

impl Fleet {
    /// Waits for the end. Returns the exit code and the output.
    fn wait(self) -> (Option<i32>, String) {
        let output = self.0.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (output.status.code(), text)
    }
}

/// Returns the name of the user.
fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < TIMEOUT, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "needs openssh-server: scripts/test installs it"]
fn load_fleet_over_ssh_loads_from_all_hosts_and_names_the_one_with_a_wrong_clock() {
    let (hosts, server) = (Hosts::new(), Server::echo());
    let (json, program) = (hosts.path("result.json"), hosts.path("ws-load"));
    let json_option = format!("--json={}", json.display());
    let options = ["--load", program.to_str().unwrap(), "--assert", "errors==0", &json_option];
    // `near` twice: each has a log of its own.
    let options = [&options[..], &["near", "late", "near"]].concat();
    // What a shell on the host would change.
    let load = ["-c", "2", "-D", "1s", "-H", "X-Note: it's \"one\" $HOME; *"];
    let (code, text) = hosts.start(&options, &server.url(), &load).wait();
    assert_eq!(code, Some(0), "{text}");
    let merged: serde_json::Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((&merged["counts"]["opened"], &merged["options"]["logs"]), (&6.into(), &"3".into()), "{text}");
    assert!(merged["counts"]["replies"].as_u64() > Some(0), "{text}");
    assert!(text.contains("the clock of late is off by 3.0"), "{text}");
    assert!(!text.contains("the clock of near"), "{text}");
    hosts.expect_no_generator();
}

#[test]
#[ignore = "needs openssh-server: scripts/test installs it"]
fn load_fleet_starts_no_load_if_a_host_cannot_take_part() {
    let (hosts, server) = (Hosts::new(), echo_that_counts_openings());
    let program = hosts.path("ws-load");
    let missing = hosts.program("bin/here-only", "exit 1");
    // A name that only the path of this machine finds.
    let path = format!("{}:{}", missing.parent().unwrap().display(), std::env::var("PATH").unwrap());
    for (names, program, words) in [
        (
            &["near", "unreachable"][..],
            program.to_str().unwrap(),
            "cannot run a command on unreachable: ssh -F ",
        ),
        (&["near"], "here-only", "near has no here-only: install it there with cargo install"),
    ] {
        let ssh = format!("ssh -F {}", hosts.path("config").display());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../load-fleet");
        let output = Command::new(script)
            .args(["--load", program, "--ssh", &ssh])
            .args(names)
            .args(["--", &server.url(), "-c", "2"])
            .env("PATH", &path)
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && err.contains(words), "{err}");
    }
    assert_eq!(server.counted(), 0);
}

#[test]
#[ignore = "needs openssh-server: scripts/test installs it"]
fn load_fleet_merges_the_other_logs_when_a_host_dies() {
    let (hosts, server) = (Hosts::new(), Server::echo());
    let (json, logs, program) = (hosts.path("result.json"), hosts.path("logs"), hosts.path("ws-load"));
    let json_option = format!("--json={}", json.display());
    let options = [&json_option, "--logs", logs.to_str().unwrap(), "--load", program.to_str().unwrap()];
    let options = [&options[..], &["near", "other"]].concat();
    let fleet = hosts.start(&options, &server.url(), &["-c", "2", "--hold", "-D", "4s"]);
    let lines = |name: &str| fs::read_to_string(logs.join(name)).map_or(0, |text| text.lines().count());
    eventually("the load has begun", || lines("near.hlog") > 0 && lines("other.hlog") > 0);
    // The first connection was for the clock.
    kill_process(*hosts.ids("other").last().unwrap(), Signal::KILL).unwrap();
    let (code, text) = fleet.wait();
    assert_eq!(code, Some(255), "{text}");
    assert!(text.contains("the log of other is not complete, and is left out"), "{text}");
    let merged: serde_json::Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((&merged["counts"]["opened"], &merged["options"]["logs"]), (&2.into(), &"1".into()), "{text}");
    hosts.expect_no_generator();
}

#[test]
#[ignore = "needs openssh-server: scripts/test installs it"]
fn load_fleet_ends_its_generators_on_ctrl_c() {
    let (hosts, server) = (Hosts::new(), echo_that_counts_openings());
    let program = hosts.path("ws-load");
    let options = ["--load", program.to_str().unwrap(), "--in", "60", "near", "other", "local:1"];
    let fleet = hosts.start(&options, &server.url(), &["-c", "2", "-D", "1m"]);
    wait_for_openings(&server, 6);
    kill_process_group(Pid::from_child(&fleet.0), Signal::INT).unwrap();
    let (code, text) = fleet.wait();
    assert_eq!(code, Some(130), "{text}");
    hosts.expect_no_generator();
}
