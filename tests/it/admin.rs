//! The admin listener: probes are answered whatever the workers and other clients do.

use std::io::{BufRead, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use tungstenite::Message;
use ws_echo::server::listener::ListeningSocket;
use ws_echo::{Config, Next, Routes, Server, ShutdownSignal, WebSocketSession, listen};

use crate::harness::{Client, TEST_TIMEOUT, config, eventually, exchange, metric, text, upgrade};
use crate::server_process::ServerProcess;

/// The longest time to a response.
const IN_TIME: Duration = Duration::from_millis(100);

/// A server with an admin listener, which stops on drop.
struct AdminServer {
    address: SocketAddr,
    admin: SocketAddr,
    stop: ShutdownSignal,
    thread: Option<thread::JoinHandle<()>>,
}

impl AdminServer {
    fn start(config: Config, routes: Routes) -> Self {
        let (listener, admin) = (listen("127.0.0.1:0").unwrap(), listen("127.0.0.1:0").unwrap());
        let addresses = (listener.local_addr().unwrap(), admin.local_addr().unwrap());
        let admin = vec![ListeningSocket::from(admin)];
        let server = Server::new(listener, config).with_routes(routes).with_admin(admin);
        let stop = ShutdownSignal::new();
        let seen = stop.clone();
        let thread = Some(thread::spawn(move || drop(server.run(&seen).unwrap())));
        Self { address: addresses.0, admin: addresses.1, stop, thread }
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stop.request();
        let finished = self.thread.take().unwrap().join();
        assert!(finished.is_ok() || thread::panicking(), "the server panicked");
    }
}

/// Workers that compute until this is dropped.
#[derive(Default)]
struct Computation {
    ends: Arc<AtomicBool>,
    running: Arc<AtomicUsize>,
}

impl Computation {
    /// Returns routes with the endpoint `/compute`, whose messages keep their worker busy.
    fn routes(&self) -> Routes {
        let (ends, running) = (Arc::clone(&self.ends), Arc::clone(&self.running));
        Routes::standard().with("/compute", move || {
            let (ends, running) = (Arc::clone(&ends), Arc::clone(&running));
            move |_: &mut WebSocketSession, _: Message| {
                running.fetch_add(1, SeqCst);
                while !ends.load(SeqCst) {
                    std::hint::spin_loop();
                }
                Next::Continue
            }
        })
    }
}

impl Drop for Computation {
    fn drop(&mut self) {
        self.ends.store(true, SeqCst);
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

/// Sends probes to a server whose workers all compute, whose waiting room is full, and that has `mute`
/// clients that send nothing. Returns the times to the responses.
fn probe_a_busy_server(mute: usize) -> Vec<Duration> {
    let computation = Computation::default();
    let routes = computation.routes();
    let config = Config { workers: 2, connections: 2, waiting: 4, ..config() };
    let server = AdminServer::start(Config { handshake_timeout: 2 * TEST_TIMEOUT, ..config }, routes);
    let mut sessions: Vec<_> = (0..2).map(|_| Client::connect(server.address).open("/compute")).collect();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let mut client = Client::connect(server.address);
            client.send(upgrade("/"));
            client
        })
        .collect();
    eventually("the waiting room is full", || metric(server.admin, "ws_echo_connections_waiting") == 4);
    for session in &mut sessions {
        session.send(text("compute"));
    }
    eventually("all workers compute", || computation.running.load(SeqCst) == 2);
    let mute: Vec<_> = (0..mute).map(|_| Client::connect(server.address)).collect();
    let mut times = Vec::new();
    for _ in 0..10 {
        for (path, status, words) in [
            ("/livez", 200, "ok"),
            ("/health", 200, "ok"),
            ("/readyz", 503, "would be rejected"),
            ("/metrics", 200, "ws_echo_connections_waiting 4"),
        ] {
            let since = Instant::now();
            let response = get(server.admin, path);
            times.push(since.elapsed());
            assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {response}");
            assert!(response.contains(words), "{path}: {response}");
        }
    }
    drop((computation, mute, waiting, sessions));
    times
}

#[test]
fn admin_answers_while_all_workers_compute_and_the_waiting_room_is_full() {
    let mut times = probe_a_busy_server(500);
    times.sort();
    // The median, because other tests run at the same time.
    assert!(times[times.len() / 2] < IN_TIME, "{times:?}");
}

#[test]
#[ignore = "needs a machine without other work"]
fn quiet_machine_admin_answers_in_time_beside_5000_mute_connections() {
    let times = probe_a_busy_server(5000);
    println!("longest {:?}", times.iter().max().unwrap());
    assert!(times.iter().all(|time| *time < IN_TIME), "{times:?}");
}

#[test]
fn slow_clients_of_the_admin_port_do_not_delay_others_and_are_ended() {
    let server = AdminServer::start(config(), Routes::standard());
    // More than the listener holds, some of them with a part of a head.
    let mut slow: Vec<_> = (0..40).map(|_| Client::connect(server.admin)).collect();
    for client in slow.iter_mut().step_by(2) {
        client.send("GET /livez HTTP/1.1\r\nHost:");
    }
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let since = Instant::now();
            assert!(get(server.admin, "/livez").starts_with("HTTP/1.1 200 "));
            since.elapsed()
        })
        .collect();
    times.sort();
    assert!(times[10] < IN_TIME, "{times:?}");
    let since = Instant::now();
    for client in &mut slow {
        client.expect_gone();
    }
    assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
}

#[test]
fn client_that_dribbles_to_the_admin_port_is_ended_too() {
    let server = AdminServer::start(config(), Routes::standard());
    let mut client = Client::connect(server.admin);
    client.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let since = Instant::now();
    client.send("GET /livez HTTP/1.1\r\nX: ");
    loop {
        assert!(since.elapsed() < Duration::from_secs(6), "it may dribble for ever");
        if std::io::Write::write_all(&mut client.stream, b"x").is_err() {
            break;
        }
        match client.stream.read(&mut [0; 64]) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
}

#[test]
fn admin_answers_until_the_end_of_the_drain() {
    let drain_timeout = Duration::from_secs(1);
    let server = AdminServer::start(Config { drain_timeout, ..config() }, Routes::standard());
    assert!(get(server.admin, "/readyz").starts_with("HTTP/1.1 200 "));
    let mut open = Client::connect(server.address).open("/");
    server.stop.request();
    assert_eq!(open.read_frame().code(), 1001);
    // The client does not reply, so the drain goes on.
    assert!(get(server.admin, "/livez").starts_with("HTTP/1.1 200 "));
    assert!(get(server.admin, "/readyz").starts_with("HTTP/1.1 503 "));
}

#[test]
fn admin_port_has_nothing_but_probes() {
    let server = AdminServer::start(config(), Routes::standard());
    let long = format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    for (request, status) in [
        (upgrade("/echo"), 404),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 404),
        ("POST /livez HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 405),
        ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400),
        (long, 431),
    ] {
        let response = exchange(server.admin, &request);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {response}");
    }
    let head = exchange(server.admin, "HEAD /livez HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn admin_listen_is_an_option() {
    let mut process = ServerProcess::start(&["--admin-listen", "127.0.0.1:0"]);
    let mut line = String::new();
    process.out.read_line(&mut line).unwrap();
    let admin = line.trim().strip_prefix("admin on http://").and_then(|rest| rest.strip_suffix('/'));
    let admin: SocketAddr = admin.expect(&line).parse().unwrap();
    assert!(get(admin, "/readyz").starts_with("HTTP/1.1 200 "));
    assert!(get(process.address, "/readyz").starts_with("HTTP/1.1 200 "), "the main port answers too");
    process.signal("TERM");
    assert_eq!(process.wait().0, Some(0));
}
