//! Many sessions that wait, beside a few that are active: waiting takes no worker.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rlimit::Resource;
use socket2::{Domain, SockRef, Socket, Type};

use crate::harness::{
    Client, TEST_TIMEOUT, TestServer, config, eventually, exchange, masked, metric, text, upgrade,
};
use crate::proc_status::ProcStatus;
use crate::server_process::ServerProcess;
use tungstenite::Message;
use ws_echo::endpoints::echo::echo;
use ws_echo::{Config, Next, Routes, WebSocketSession};

/// The sessions of the crowd, by what they wait for.
const NEVER_READ: usize = 2000;
const MUTE: usize = 5000;
const DRIBBLED: usize = 1000;
const PUSHED: usize = 1000;
const DELAYED: usize = 1000;

/// The active sessions, and their messages: together 300 a second.
const ACTIVE: usize = 10;
const MESSAGES: usize = 120;
const PACE: Duration = Duration::from_millis(33);

/// Connects with a small receive buffer, so that a client that never reads takes little memory of the kernel.
fn connect_small(address: SocketAddr) -> Client {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    Client { stream }
}

/// Sends messages at a constant rate and returns the round trips, each from the time at which its message was due.
fn round_trips(address: SocketAddr, first: usize) -> Vec<Duration> {
    let mut client = Client::connect(address).open("/echo");
    let start = Instant::now() + PACE * u32::try_from(first).unwrap() / u32::try_from(ACTIVE).unwrap();
    (0..MESSAGES)
        .map(|n| {
            let due = start + PACE * u32::try_from(n).unwrap();
            // The rate of a client, not a wait for anything.
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let message = format!("{first} {n}");
            client.send(text(&message));
            assert_eq!(client.read_text(), message);
            due.elapsed()
        })
        .collect()
}

/// Opens the crowd.
fn crowd(address: SocketAddr) -> Vec<Client> {
    let mut clients = Vec::new();
    for n in 0..NEVER_READ {
        let mut client = connect_small(address);
        client.send(upgrade(if n % 2 == 0 { "/source?size=64KiB&count=1000" } else { "/echo" }));
        // More than the buffers of both sockets hold, as far as the kernel takes it.
        client.stream.set_nonblocking(true).unwrap();
        match client.stream.write(&masked(0x82, vec![7; 16 << 10]).repeat(16)) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            Ok(n) => assert!(n > 0),
        }
        clients.push(client);
    }
    clients.extend((0..MUTE).map(|_| Client::connect(address)));
    for _ in 0..DRIBBLED {
        let mut client = Client::connect(address);
        client.send("GET /echo HTTP/1.1\r\nHost: ");
        clients.push(client);
    }
    clients.extend((0..PUSHED).map(|_| Client::connect(address).open("/push?every=100ms")));
    clients
}

#[test]
fn waiting_sessions_do_not_delay_active_ones() {
    let (_, hard) = Resource::NOFILE.get().unwrap();
    Resource::NOFILE.set(hard, hard).unwrap();
    let total = NEVER_READ + MUTE + DRIBBLED + PUSHED + DELAYED + ACTIVE;
    assert!(hard > total as u64 + 200, "this test needs {total} open files and a few more; raise ulimit -Hn");
    let minute = ["--handshake-timeout=60s", "--write-timeout=60s"];
    let process = ServerProcess::start(&[&["--workers=8"], &minute[..]].concat());
    let address = process.address;
    let crowd = crowd(address);
    let mut delayed: Vec<_> = (0..DELAYED).map(|_| process.open("/delay?ms=500")).collect();
    for client in &mut delayed {
        client.send(text("late"));
    }
    let mut round_trips: Vec<_> = thread::scope(|scope| {
        let active = (0..ACTIVE).map(|n| scope.spawn(move || round_trips(address, n)));
        let threads: Vec<_> = active.collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for client in &mut delayed {
        assert_eq!(client.read_text(), "late");
    }
    round_trips.sort_unstable();
    let (median, p99) = (round_trips[round_trips.len() / 2], round_trips[round_trips.len() * 99 / 100]);
    let status = ProcStatus(process.id());
    println!("median {median:?}, p99 {p99:?}, {} threads, {} KiB", status.threads(), status.resident() >> 10);
    assert!(metric(address, "ws_echo_connections_open") >= crowd.len() as u64, "the crowd was cut");
    assert!(p99 < Duration::from_millis(250), "median {median:?}, p99 {p99:?}");
    assert!(status.threads() < 8 + 10, "{} threads", status.threads());
}

/// Blocks its worker for a while, as an endpoint should not.
fn blocking(session: &mut WebSocketSession, message: Message) -> Next {
    thread::sleep(Duration::from_millis(300));
    echo(session, &message)
}

#[test]
fn session_that_keeps_its_worker_busy_does_not_hold_up_the_others() {
    let routes = Routes::standard().with("/blocking", || blocking);
    let server = TestServer::with_routes(Config { workers: 2, connections: 40, ..config() }, routes);
    let mut clients: Vec<_> = (0..30).map(|_| server.open("/echo")).collect();
    let mut busy = server.open("/blocking");
    for round in 0..3 {
        // Ready together with the others, and served first by one worker.
        busy.send(text("x"));
        let since = Instant::now();
        for client in &mut clients {
            client.send(text("y"));
        }
        for client in &mut clients {
            assert_eq!(client.read_text(), "y");
        }
        let elapsed = since.elapsed();
        assert!(elapsed < Duration::from_millis(250), "round {round}: {elapsed:?}");
        assert_eq!(busy.read_text(), "x");
    }
}

#[test]
fn session_that_floods_gives_way_to_others() {
    let server = TestServer::with(Config { workers: 1, connections: 40, ..config() });
    let address = server.address;
    let floods: Vec<_> = (0..4)
        .map(|_| {
            let client = server.open("/echo");
            let mut reader = client.stream.try_clone().unwrap();
            let mut writer = client.stream;
            let burst = masked(0x82, "flood").repeat(1000);
            thread::spawn(move || while writer.write_all(&burst).is_ok() {});
            thread::spawn(move || while reader.read(&mut [0; 65536]).is_ok_and(|n| n > 0) {})
        })
        .collect();
    eventually("a flood", || metric(address, "ws_echo_messages_received_total") > 10_000);
    let mut client = server.open("/echo");
    for _ in 0..20 {
        let since = Instant::now();
        client.send(text("one"));
        assert_eq!(client.read_text(), "one");
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    }
    assert!(exchange(address, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 200 "));
    client.close();
    server.finish();
    for flood in floods {
        flood.join().unwrap();
    }
}
