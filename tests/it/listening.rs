//! The addresses that a server listens on: several of them, all of a name, Unix sockets.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use rustls::version::TLS13;
use serde_json::Value as Json;

use crate::harness::{Client, TEST_TIMEOUT, text};
use crate::server_process::{ServerProcess, command, command_after, ready_line};
use crate::tls_server::{Files, connect, secure};

/// The path of a file in the directory for temporary files, which is removed on drop.
pub struct TemporaryPath(pub PathBuf);

impl TemporaryPath {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("ws-echo-{}-{}.sock", std::process::id(), NUMBER.fetch_add(1, SeqCst));
        Self(std::env::temp_dir().join(name))
    }

    fn option(&self) -> String {
        format!("unix:{}", self.0.display())
    }

    pub fn connect(&self) -> Client<UnixStream> {
        let stream = UnixStream::connect(&self.0).unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        Client { stream }
    }
}

impl Drop for TemporaryPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Starts a server on a TCP address and on a Unix socket.
fn start_on(path: &TemporaryPath, options: &[&str]) -> ServerProcess {
    let mut process = ServerProcess::start(&[&["--listen", &path.option()], options].concat());
    let mut line = String::new();
    process.out.read_line(&mut line).unwrap();
    assert_eq!(line, format!("listening on ws+unix:{}:/\n", path.0.display()));
    process
}

/// Reads one ready line for each listener; the first one was read.
fn addresses(process: &mut ServerProcess, count: usize) -> Vec<SocketAddr> {
    let first = process.address;
    std::iter::once(first).chain((1..count).map(|_| ready_line(&mut process.out, "ws"))).collect()
}

/// Runs a server that does not start, and returns its exit code and standard error.
fn fail(listen: &str) -> (Option<i32>, String) {
    let output = command_after(&["timeout", "20"], &["--listen", listen]).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn echo<S: Read + Write>(client: Client<S>) {
    let mut client = client.open("/echo");
    client.send(text("hello"));
    assert_eq!(client.read_text(), "hello");
}

#[test]
fn listen_can_be_repeated_and_separated_by_commas_in_the_environment() {
    let mut repeated = command(&["--listen=127.0.0.1:0", "--listen=127.0.0.2:0", "--listen=127.0.0.1:0"]);
    let mut separated = command(&[]);
    separated.env("WS_ECHO_LISTEN", "127.0.0.1:0,127.0.0.2:0,127.0.0.1:0");
    for command in [&mut repeated, &mut separated] {
        let mut process = ServerProcess::spawn(command);
        let addresses = addresses(&mut process, 3);
        assert_eq!(addresses[1].ip(), IpAddr::from([127, 0, 0, 2]));
        assert_eq!(BTreeSet::from_iter(&addresses).len(), 3, "{addresses:?}");
        for address in addresses {
            echo(Client::connect(address));
        }
        process.signal("TERM");
        assert_eq!(process.wait().0, Some(0));
    }
}

#[test]
fn tls_listen_can_be_repeated_and_takes_a_unix_socket() {
    let (files, path) = (Files::new(), TemporaryPath::new());
    let (certificate, key) = (files.certificate.to_str().unwrap(), files.key.to_str().unwrap());
    let tls = ["--tls-listen=127.0.0.1:0", "--tls-listen=127.0.0.2:0", "--tls-listen", &path.option()];
    let mut process =
        ServerProcess::start(&[&tls[..], &["--tls-cert", certificate, "--tls-key", key]].concat());
    let addresses = [(); 2].map(|()| ready_line(&mut process.out, "wss"));
    assert_eq!(addresses.map(|address| address.ip().to_string()), ["127.0.0.1", "127.0.0.2"]);
    let mut line = String::new();
    process.out.read_line(&mut line).unwrap();
    assert_eq!(line, format!("listening on wss+unix:{}:/\n", path.0.display()));
    let client = files.client(&[&TLS13]);
    for address in addresses {
        echo(connect(address, &client));
    }
    let mut over_unix = secure(path.connect().stream, &client).open("/info");
    let info: Json = serde_json::from_str(&over_unix.read_text()).unwrap();
    assert_eq!((&info["peer"], &info["tls"]["version"]), (&"unix".into(), &"TLSv1.3".into()), "{info}");
    over_unix.close();
    process.signal("TERM");
    assert_eq!(process.wait().0, Some(0));
    assert!(!path.0.exists(), "the file is removed at the end");
}

#[test]
fn localhost_listens_on_ipv4_and_ipv6_with_one_port() {
    let loopbacks: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    // A machine without IPv6 has one of them.
    let wanted = loopbacks.into_iter().filter(|ip| TcpListener::bind((*ip, 0)).is_ok());
    let wanted: BTreeSet<IpAddr> = wanted.collect();
    let mut process = ServerProcess::spawn(&mut command(&["--listen", "localhost:0"]));
    let addresses = addresses(&mut process, wanted.len());
    assert_eq!(addresses.iter().map(SocketAddr::ip).collect::<BTreeSet<_>>(), wanted);
    assert!(addresses.iter().all(|address| address.port() == process.address.port()), "{addresses:?}");
    for address in addresses {
        echo(Client::connect(address));
    }
}

#[test]
fn name_with_an_address_in_use_is_an_error_that_names_it() {
    // On a port that another program has on one of the addresses, the clients of that address would reach it.
    let Ok(taken) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else { return };
    let port = taken.local_addr().unwrap().port();
    let (code, err) = fail(&format!("localhost:{port}"));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains(&format!("cannot listen on localhost:{port} ([::1]:{port}): ")), "{err}");
}

#[test]
fn both_wildcards_can_have_one_port() {
    let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    for order in [["[::]", "0.0.0.0"], ["0.0.0.0", "[::]"]] {
        let listen = order.map(|host| format!("{host}:{port}")).join(",");
        let mut process = ServerProcess::spawn(&mut command(&["--listen", &listen]));
        for address in addresses(&mut process, 2) {
            let loopback = if address.is_ipv6() { "[::1]" } else { "127.0.0.1" };
            echo(Client::connect(format!("{loopback}:{port}").parse().unwrap()));
        }
    }
}

#[test]
fn unix_socket_serves_sessions_whose_peer_is_unix() {
    let path = TemporaryPath::new();
    let process = start_on(&path, &["--max-per-ip", "1"]);
    // Clients without an address are not counted as one.
    let mut clients: Vec<_> = (0..3).map(|_| path.connect().open("/info")).collect();
    for client in &mut clients {
        let info: Json = serde_json::from_str(&client.read_text()).unwrap();
        assert_eq!(info["peer"], "unix");
    }
    let large = "x".repeat(1 << 20);
    clients[0].send(text(&large));
    assert!(clients[0].read_text() == large);
    process.signal("TERM");
    for client in &mut clients {
        assert_eq!(client.read_frame().code(), 1001);
    }
    drop(clients);
    let (code, out, err) = process.wait();
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("#1 unix opened /info"), "{err}");
    assert!(out.contains("server 1001: 3"), "{out}");
    assert!(!path.0.exists(), "the file is removed at the end");
}

#[test]
fn unix_socket_has_the_mode_that_the_umask_leaves() {
    let path = TemporaryPath::new();
    let masked = ["sh", "-c", r#"umask 017; exec "$@""#, "sh"];
    let process = ServerProcess::spawn(&mut command_after(&masked, &["--listen", &path.option()]));
    let metadata = fs::metadata(&path.0).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o760);
    drop(process);
}

#[test]
fn unix_socket_of_a_dead_server_is_replaced_and_of_a_live_one_is_not() {
    let path = TemporaryPath::new();
    let mut killed = start_on(&path, &[]);
    let (code, err) = fail(&path.option());
    assert_eq!(code, Some(1), "{err}");
    assert!(
        err.contains(": another process listens on it; stop that process, or choose another path"),
        "{err}"
    );
    assert_eq!(err.lines().count(), 1, "{err}");
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    assert!(path.0.exists(), "SIGKILL leaves the file");
    let process = start_on(&path, &[]);
    echo(path.connect());
    drop(process);
}

#[test]
fn unix_socket_of_a_later_server_stays() {
    let path = TemporaryPath::new();
    let process = start_on(&path, &[]);
    fs::remove_file(&path.0).unwrap();
    let _later = UnixListener::bind(&path.0).unwrap();
    process.signal("TERM");
    assert_eq!(process.wait().0, Some(0));
    assert!(path.0.exists());
}

#[test]
fn file_that_is_no_socket_is_not_replaced() {
    let path = TemporaryPath::new();
    fs::write(&path.0, "precious").unwrap();
    let (code, err) = fail(&path.option());
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("the file exists and is no socket; remove the file"), "{err}");
    assert_eq!(fs::read_to_string(&path.0).unwrap(), "precious");
    let refused = UnixStream::connect(&path.0).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}
