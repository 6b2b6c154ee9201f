//! What a service manager such as systemd gives to the server and gets from it: listening sockets, and
//! messages. The tests take the part of the service manager.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Client, TEST_TIMEOUT, eventually, exchange, masked, text, upgrade};
use crate::listening::TemporaryPath;
use crate::server_process::{LogLines, ServerProcess, command_of};
use crate::tls_server::Files;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ws-echo");

/// A socket that takes the messages of servers (`sd_notify(3)`).
pub struct NotifySocket {
    socket: UnixDatagram,
    path: TemporaryPath,
}

impl NotifySocket {
    pub fn new() -> Self {
        let path = TemporaryPath::new();
        let socket = UnixDatagram::bind(&path.0).unwrap();
        socket.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        Self { socket, path }
    }

    /// Lets a server send its messages to this socket.
    pub fn add_to(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", &self.path.0);
    }

    /// Waits for a message that begins with a text and returns it. Discards the messages before it.
    pub fn expect(&self, start: &str) -> String {
        let mut others = Vec::new();
        loop {
            let mut buffer = [0; 1024];
            let Ok(length) = self.socket.recv(&mut buffer) else { panic!("no {start} after {others:?}") };
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if message.starts_with(start) {
                return message;
            }
            others.push(message);
        }
    }
}

/// Returns the server with a socket as its descriptor 3, as a service manager passes it. The shell takes the
/// socket from standard input, because a test cannot choose the descriptors of a process.
fn with_socket(socket: impl Into<OwnedFd>, name: &str, arguments: &[&str]) -> Command {
    let script = r#"exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=$0 exec "$@""#;
    let mut command = command_of(&["sh", "-c", script, name, PROGRAM], arguments);
    command.stdin(Stdio::from(socket.into()));
    command
}

/// A listening socket on a free port, as a service manager holds it.
fn bind() -> (TcpListener, SocketAddr) {
    let listener = ws_echo::listen("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Starts a server on the socket of a service manager, and waits until it is ready.
fn start_on(listener: &TcpListener) -> ServerProcess {
    let notify = NotifySocket::new();
    let mut command = with_socket(listener.try_clone().unwrap(), "ws", &["--listen", "systemd"]);
    notify.add_to(command.env("RUST_LOG", "warn"));
    let process = ServerProcess::spawn(&mut command);
    notify.expect("READY=1");
    process
}

/// Opens a session, echoes a message and closes. Returns what went wrong.
fn round_trip(address: SocketAddr) -> Result<(), String> {
    use std::io::{Read, Write};
    let failed = |what: &'static str| move |error: std::io::Error| format!("{what}: {error}");
    let mut stream = std::net::TcpStream::connect(address).map_err(failed("connect"))?;
    stream.set_read_timeout(Some(TEST_TIMEOUT)).map_err(failed("option"))?;
    stream.write_all(upgrade("/echo").as_bytes()).map_err(failed("request"))?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).map_err(failed("response"))?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err(String::from_utf8_lossy(&head).into_owned());
    }
    stream.write_all(&text("hello")).map_err(failed("message"))?;
    let mut echo = [0; 7];
    stream.read_exact(&mut echo).map_err(failed("echo"))?;
    if echo != *b"\x81\x05hello" {
        return Err(format!("{echo:?} instead of an echo"));
    }
    stream.write_all(&masked(0x88, 1000_u16.to_be_bytes())).map_err(failed("Close"))?;
    stream.read_to_end(&mut Vec::new()).map_err(failed("end"))?;
    Ok(())
}

/// Runs `hand_over` while clients open sessions on `address` all the time. Returns the number of sessions,
/// and what went wrong in others.
fn sessions_during(address: SocketAddr, hand_over: impl FnOnce(&AtomicUsize)) -> (usize, Vec<String>) {
    let (ends, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (ends, done) = (Arc::clone(&ends), Arc::clone(&done));
            thread::spawn(move || {
                let mut errors = Vec::new();
                while !ends.load(SeqCst) {
                    match round_trip(address) {
                        Ok(()) => drop(done.fetch_add(1, SeqCst)),
                        Err(error) => errors.push(error),
                    }
                }
                errors
            })
        })
        .collect();
    hand_over(&done);
    ends.store(true, SeqCst);
    let errors = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    (done.load(SeqCst), errors)
}

/// Waits for another 50 sessions.
fn serve_more(done: &AtomicUsize) {
    let before = done.load(SeqCst);
    eventually("50 more sessions", || done.load(SeqCst) > before + 50);
}

/// Stops a server with SIGTERM, as a service manager does.
fn stop(process: ServerProcess) {
    process.signal("TERM");
    let (code, out, err) = process.wait();
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn hand_over_to_a_second_server_on_the_same_socket_refuses_no_connection() {
    let (listener, address) = bind();
    let mut server = start_on(&listener);
    let (done, errors) = sessions_during(address, |done| {
        for _ in 0..3 {
            serve_more(done);
            let next = start_on(&listener);
            stop(std::mem::replace(&mut server, next));
        }
        serve_more(done);
    });
    assert!(errors.is_empty(), "{} of {}: {:?}", errors.len(), done + errors.len(), errors.first());
}

#[test]
fn restart_on_the_socket_of_the_service_manager_refuses_no_connection() {
    let (listener, address) = bind();
    let server = start_on(&listener);
    let mut last = None;
    let (done, errors) = sessions_during(address, |done| {
        serve_more(done);
        // Connections wait in the backlog until the next server accepts them.
        stop(server);
        last = Some(start_on(&listener));
        serve_more(done);
    });
    assert!(errors.is_empty(), "{} of {}: {:?}", errors.len(), done + errors.len(), errors.first());
}

#[test]
fn request_of_an_accepted_connection_is_served_after_sigterm() {
    let (listener, address) = bind();
    let server = start_on(&listener);
    let mut client = Client::connect(address);
    client.send("GET /echo HTTP/1.1\r\n");
    // Connections are accepted in their order, so this server has accepted the first one before the signal.
    assert!(exchange(address, "GET /livez HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 "));
    server.signal("TERM");
    client.send(upgrade("/").split_once("\r\n").unwrap().1);
    assert!(client.read_head().starts_with("HTTP/1.1 101 "));
    client.send(text("hello"));
    assert_eq!(client.read_text(), "hello");
    assert_eq!(client.read_frame().code(), 1001);
    drop(client);
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn unix_socket_of_the_service_manager_is_used_and_its_file_stays() {
    let path = TemporaryPath::new();
    let listener = UnixListener::bind(&path.0).unwrap();
    let notify = NotifySocket::new();
    let listen = ["--listen=127.0.0.1:0", "--listen=systemd:local"];
    let mut command = with_socket(listener, "local", &listen);
    notify.add_to(&mut command);
    let server = ServerProcess::spawn(&mut command);
    notify.expect("READY=1");
    let mut client = Client { stream: UnixStream::connect(&path.0).unwrap() }.open("/echo");
    client.send(text("hello"));
    assert_eq!(client.read_text(), "hello");
    client.close();
    stop(server);
    assert!(path.0.exists());
}

#[test]
fn socket_with_another_name_or_none_is_an_error() {
    for (mut command, words) in [
        (with_socket(bind().0, "ws", &["--listen=systemd:wss"]), "cannot listen on systemd:wss: the service"),
        (with_socket(bind().0, "ws", &["--listen=systemd", "--listen=systemd"]), "passed no such socket"),
        (with_socket(UnixDatagram::unbound().unwrap(), "ws", &["--listen=systemd"]), "use ListenStream="),
        (with_socket(UnixStream::pair().unwrap().0, "ws", &["--listen=systemd"]), "use Accept=no"),
        (command_of(&[PROGRAM], &["--listen=systemd"]), "start the server with a socket unit"),
    ] {
        let output = command.output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.contains(words) && err.lines().count() == 1, "no `{words}` in {err}");
    }
}

#[test]
fn socket_that_no_option_takes_is_logged() {
    let server = ServerProcess::spawn(&mut with_socket(bind().0, "ws", &["--listen=127.0.0.1:0"]));
    server.signal("TERM");
    let err = server.wait().2;
    assert!(err.contains("sockets of the service manager that no option takes: ws;"), "{err}");
}

#[test]
fn service_manager_is_told_of_ready_status_watchdog_and_stop() {
    let notify = NotifySocket::new();
    let mut command = command_of(&[PROGRAM], &["--listen=127.0.0.1:0"]);
    notify.add_to(command.env("WATCHDOG_USEC", "200000"));
    let server = ServerProcess::spawn(&mut command);
    assert_eq!(notify.expect("READY").trim(), "READY=1");
    assert_eq!(notify.expect("STATUS").trim(), "STATUS=0 connections open, 0 accepted, 0 waiting");
    let since = Instant::now();
    for _ in 0..10 {
        assert_eq!(notify.expect("WATCHDOG").trim(), "WATCHDOG=1");
    }
    // Ten intervals of half the time.
    assert!(since.elapsed() > Duration::from_millis(700), "{:?}", since.elapsed());
    server.signal("TERM");
    assert_eq!(notify.expect("STOPPING").trim(), "STOPPING=1");
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn service_manager_is_told_of_a_reload() {
    let (notify, files) = (NotifySocket::new(), Files::new());
    let mut command = command_of(&[PROGRAM], &["--listen=127.0.0.1:0", "--tls-listen=127.0.0.1:0"]);
    command.arg("--tls-cert").arg(&files.certificate).arg("--tls-key").arg(&files.key);
    notify.add_to(&mut command);
    let server = ServerProcess::spawn(&mut command);
    notify.expect("READY=1");
    server.signal("HUP");
    let message = notify.expect("RELOADING=1");
    let now = message.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(now.is_some_and(|now| now.parse::<u64>().is_ok()), "{message}");
    notify.expect("READY=1");
}

#[test]
fn stopped_process_does_not_feed_the_watchdog() {
    let notify = NotifySocket::new();
    let mut command = command_of(&[PROGRAM], &["--listen=127.0.0.1:0"]);
    notify.add_to(command.env("WATCHDOG_USEC", "100000"));
    let server = ServerProcess::spawn(&mut command);
    notify.expect("WATCHDOG=1");
    server.signal("STOP");
    notify.socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let silent = || notify.socket.recv(&mut [0; 64]).is_err();
    eventually("it sends nothing", silent);
    notify.socket.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    server.signal("CONT");
    notify.expect("WATCHDOG=1");
}

#[test]
fn service_manager_that_does_not_read_stops_nothing() {
    let notify = NotifySocket::new();
    let mut command = command_of(&[PROGRAM], &["--listen=127.0.0.1:0"]);
    // Far more messages than the socket holds.
    notify.add_to(command.env("WATCHDOG_USEC", "20000").env("RUST_LOG", "ws_echo=debug"));
    let mut server = ServerProcess::spawn(&mut command);
    let log = LogLines::of(&mut server);
    log.expect("the service manager does not read: Watchdog was dropped");
    server.open("/").close();
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
}
