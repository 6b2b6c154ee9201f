//! Certificates that are read again: after SIGHUP, and when their files have changed.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustls::version::TLS13;

use crate::harness::{eventually, text};
use crate::server_process::{LogLines, ServerProcess, command, command_after, ready_line};
use crate::tls_server::{Files, connect};

/// A server with TLS beside the plain listener.
pub struct TlsProcess {
    pub process: ServerProcess,
    pub address: SocketAddr,
    pub log: LogLines,
}

impl TlsProcess {
    pub fn start(files: &Files) -> Self {
        Self::with(files, &[])
    }

    pub fn with(files: &Files, arguments: &[&str]) -> Self {
        let mut process = ServerProcess::spawn(
            command(&["--listen=127.0.0.1:0", "--tls-listen=127.0.0.1:0", "--workers=8", "--tls-cert"])
                .arg(&files.certificate)
                .arg("--tls-key")
                .arg(&files.key)
                .args(arguments),
        );
        let address = ready_line(&mut process.out, "wss");
        let log = LogLines::of(&mut process);
        Self { process, address, log }
    }

    /// Waits for a log line.
    pub fn expect_log(&self, words: &str) -> String {
        self.log.expect(words)
    }
}

#[test]
fn sighup_reloads_the_certificate_and_keeps_sessions() {
    let files = Files::new();
    let server = TlsProcess::start(&files);
    let old_trust = files.client(&[&TLS13]);
    let mut old = connect(server.address, &old_trust).open("/echo");
    let mut plain = server.process.open("/echo");

    // A certificate with another key changes nothing.
    let fresh = Files::new();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    files.write(&read(&fresh.certificate), &read(&files.key));
    server.process.signal("HUP");
    let error = server.expect_log("the certificate in use stays");
    assert!(error.contains("ERROR") && error.contains("does not match"), "{error}");
    connect(server.address, &old_trust).open("/echo").close();

    files.write(&read(&fresh.certificate), &read(&fresh.key));
    server.process.signal("HUP");
    server.expect_log("reloaded the certificate in");
    let shown = connect(server.address, &fresh.client(&[&TLS13])).open("/echo");
    shown.close();

    for n in 0..3 {
        old.send(text(&n.to_string()));
        assert_eq!(old.read_text(), n.to_string());
    }
    plain.send(text("still here"));
    assert_eq!(plain.read_text(), "still here");
    old.close();
    plain.close();
    server.process.signal("TERM");
    let (mut process, log) = (server.process, server.log);
    eventually("the server ends", || process.child.try_wait().unwrap().is_some());
    let log = log.rest();
    assert_eq!(process.child.wait().unwrap().code(), Some(0), "{log:?}");
}

/// Replaces a file by a FIFO: to open it for reading blocks until it is opened for writing.
fn replace_by_fifo(path: &Path) {
    std::fs::remove_file(path).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Waits until a process has opened a FIFO for reading. Returns the other end, to which nothing has been written.
fn await_reader(fifo: &Path) -> File {
    let open =
        || OpenOptions::new().write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(fifo);
    eventually("the FIFO has a reader", || open().is_ok());
    open().unwrap()
}

#[test]
fn sighup_with_a_certificate_file_that_hangs_delays_no_signal() {
    let files = Files::new();
    let server = TlsProcess::start(&files);
    replace_by_fifo(&files.certificate);
    for _ in 0..3 {
        server.process.signal("HUP");
    }
    let _held_open = await_reader(&files.certificate);
    let mut client = server.process.open("/echo");
    let since = Instant::now();
    server.process.signal("TERM");
    assert_eq!(client.read_frame().code(), 1001);
    drop(client);
    assert_eq!(server.process.wait().0, Some(0));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

#[test]
fn certificate_that_was_replaced_is_taken_without_a_signal() {
    let (old, new) = (Files::new(), Files::new());
    // Folders and links as Kubernetes mounts secrets: the link `..data` is replaced.
    let base = std::env::temp_dir().join(format!("ws-echo-cert-watch-{}", std::process::id()));
    for (folder, files) in [("old", &old), ("new", &new)] {
        std::fs::create_dir_all(base.join(folder)).unwrap();
        std::fs::copy(&files.certificate, base.join(folder).join("tls.crt")).unwrap();
        std::fs::copy(&files.key, base.join(folder).join("tls.key")).unwrap();
    }
    symlink("old", base.join("..data")).unwrap();
    let mounted = |name: &str| {
        let path = base.join(name);
        symlink(Path::new("..data").join(name), &path).unwrap();
        path
    };
    let links = Files { certificate: mounted("tls.crt"), key: mounted("tls.key") };
    let server = TlsProcess::with(&links, &["--cert-watch=20ms"]);
    let mut session = connect(server.address, &old.client(&[&TLS13])).open("/echo");

    symlink("new", base.join("..next")).unwrap();
    std::fs::rename(base.join("..next"), base.join("..data")).unwrap();
    server.expect_log("reloaded the certificate in");
    connect(server.address, &new.client(&[&TLS13])).open("/echo").close();
    session.send(text("still here"));
    assert_eq!(session.read_text(), "still here");
    session.close();
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn certificate_of_a_half_written_pair_is_not_taken_and_logged_once() {
    let files = Files::new();
    let server = TlsProcess::with(&files, &["--cert-watch=20ms"]);
    let old_trust = files.client(&[&TLS13]);
    let fresh = Files::new();
    // Renamed, so that the file is never half of a file.
    std::fs::rename(&fresh.certificate, &files.certificate).unwrap();
    server.expect_log("does not match the certificate in");
    // Ten looks later.
    let mut waiting = connect(server.address, &old_trust).open("/delay?ms=200");
    waiting.send(text("the old certificate is served"));
    assert_eq!(waiting.read_text(), "the old certificate is served");
    waiting.close();
    let fresh_trust = files.client(&[&TLS13]);
    std::fs::rename(&fresh.key, &files.key).unwrap();
    let lines = server.log.until("reloaded the certificate in");
    assert!(!lines.iter().any(|line| line.contains("does not match")), "logged again: {lines:#?}");
    connect(server.address, &fresh_trust).open("/echo").close();
}

#[test]
fn sighup_without_a_certificate_is_ignored_with_a_log_line() {
    // The second one is as under nohup.
    for starter in ["--default-signal=HUP", "--ignore-signal=HUP"] {
        let mut process = ServerProcess::spawn(&mut command_after(&["env", starter], &["--workers", "4"]));
        let log = LogLines::of(&mut process);
        let mut client = process.open("/echo");
        process.signal("HUP");
        log.expect("SIGHUP ignored: there is no certificate to reload");
        client.send(text("still here"));
        assert_eq!(client.read_text(), "still here");
        process.signal("TERM");
        assert_eq!(client.read_frame().code(), 1001);
        drop(client);
        assert_eq!(process.wait().0, Some(0));
    }
}
