//! The programs of systemd with the files of `scripts/systemd`. It need not be process 1.
//!
//! `scripts/test` installs them from Debian. The tests are ignored without it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::{Client, text};
use crate::listening::TemporaryPath;
use crate::server_process::{ServerProcess, command_of};
use crate::service_manager::NotifySocket;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ws-echo");

/// Highest exposure that `systemd-analyze security` may find, in tenths.
const MAX_EXPOSURE: &str = "--threshold=15";

/// The unit files with the program under test, in a directory that is removed on drop.
struct Units(PathBuf);

impl Units {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("ws-echo-units-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        for unit in ["ws-echo.service", "ws-echo.socket"] {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/systemd").join(unit);
            let text = fs::read_to_string(source).unwrap().replace("/usr/bin/ws-echo", PROGRAM);
            fs::write(directory.join(unit), text).unwrap();
        }
        Self(directory)
    }

    /// Runs `systemd-analyze` with these arguments and the paths of the units.
    fn analyze(&self, arguments: &[&str], units: &[&str]) -> Output {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).args(units.iter().map(|unit| self.0.join(unit)));
        command.output().expect("systemd-analyze is missing: scripts/test installs it")
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
#[ignore = "needs systemd of Debian; scripts/test installs it"]
fn unit_files_are_valid() {
    let units = Units::new("verify");
    let output = units.analyze(&["verify"], &["ws-echo.service", "ws-echo.socket"]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && text.is_empty(), "{text}");
}

#[test]
#[ignore = "needs systemd of Debian; scripts/test installs it"]
fn unit_file_exposes_little_of_the_machine() {
    let units = Units::new("security");
    let output = units.analyze(&["security", "--offline=true", MAX_EXPOSURE], &["ws-echo.service"]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{text}");
}

#[test]
#[ignore = "needs systemd of Debian; scripts/test installs it"]
fn socket_activation_serves_the_client_that_started_the_server() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (address, path, notify) = (format!("127.0.0.1:{port}"), TemporaryPath::new(), NotifySocket::new());
    let path_text = path.0.to_str().unwrap();
    let activate = ["systemd-socket-activate", "--fdname=ws:ws", "-l", &address, "-l", path_text];
    let environment = ["-E", "NOTIFY_SOCKET", "-E", "WATCHDOG_USEC", PROGRAM];
    let mut command = command_of(&[&activate[..], &environment[..]].concat(), &["--listen=systemd:ws"]);
    notify.add_to(command.env("WATCHDOG_USEC", "400000"));
    let mut child = command.spawn().expect("systemd-socket-activate is missing: scripts/test installs it");
    // The program listens soon; the first connection starts the server.
    let mut first = None;
    crate::harness::eventually("systemd-socket-activate listens", || {
        first = std::net::TcpStream::connect(&address).ok();
        first.is_some() || child.try_wait().unwrap().is_some()
    });
    let server = ServerProcess::of(child);
    assert_eq!(server.address.to_string(), address);
    assert_eq!(notify.expect("READY").trim(), "READY=1");
    let mut first = Client { stream: first.unwrap() }.open("/echo");
    first.send(text("first"));
    assert_eq!(first.read_text(), "first");
    first.close();
    assert_eq!(notify.expect("WATCHDOG").trim(), "WATCHDOG=1");
    let mut local = path.connect().open("/echo");
    local.send(text("local"));
    assert_eq!(local.read_text(), "local");
    local.close();
    server.signal("TERM");
    assert_eq!(notify.expect("STOPPING").trim(), "STOPPING=1");
    let (code, _, err) = server.wait();
    assert_eq!(code, Some(0), "{err}");
    assert!(path.0.exists(), "the socket belongs to the service manager");
}
