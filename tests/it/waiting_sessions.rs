//! Many sessions that wait, beside a few that are active: waiting takes no worker.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rlimit::Resource;
use socket2::{Domain, Socket, Type};

use crate::harness::{
    Client, Frame, TEST_TIMEOUT, TestServer, config, eventually, exchange, masked, metric, text, upgrade,
};
use crate::proc_status::ProcStatus;
use crate::server_process::ServerProcess;
use tungstenite::Message;
use ws_echo::endpoints::echo::echo;
use ws_echo::{Config, Next, Routes, WebSocketSession};

/// How many sessions of each kind wait.
#[derive(Clone, Copy)]
struct Crowd {
    /// Clients that do not read.
    never_read: usize,
    /// Clients that send nothing.
    mute: usize,
    /// Clients that send a part of a request head.
    dribbled: usize,
    /// Clients of `/push?every=100ms`.
    pushed: usize,
    /// Clients of `/delay?ms=500`.
    delayed: usize,
}

impl Crowd {
    /// A tenth of the sessions of [`Self::WHOLE`], for a machine that runs other tests at the same time.
    const SMALL: Self = Self { never_read: 200, mute: 500, dribbled: 100, pushed: 100, delayed: 100 };
    const WHOLE: Self = Self { never_read: 2000, mute: 5000, dribbled: 1000, pushed: 1000, delayed: 1000 };

    fn total(self) -> usize {
        self.never_read + self.mute + self.dribbled + self.pushed + self.delayed
    }
}

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

/// Sends messages at a constant rate and returns the round trips, each from the time at which its message was
/// due.
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

/// Opens the sessions, but for the delayed ones.
fn open(crowd: Crowd, address: SocketAddr) -> Vec<Client> {
    let mut clients = Vec::new();
    for n in 0..crowd.never_read {
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
    clients.extend((0..crowd.mute).map(|_| Client::connect(address)));
    for _ in 0..crowd.dribbled {
        let mut client = Client::connect(address);
        client.send("GET /echo HTTP/1.1\r\nHost: ");
        clients.push(client);
    }
    clients.extend((0..crowd.pushed).map(|_| Client::connect(address).open("/push?every=100ms")));
    clients
}

/// Checks that active sessions lose nothing beside a crowd that waits. Returns the p99 of their round trips.
fn p99_beside(crowd: Crowd) -> Duration {
    let (_, hard) = Resource::NOFILE.get().unwrap();
    Resource::NOFILE.set(hard, hard).unwrap();
    let files = crowd.total() + 300;
    assert!(hard > files as u64, "this test needs {files} open files; raise ulimit -Hn");
    let minute = ["--handshake-timeout=60s", "--write-timeout=60s"];
    let process = ServerProcess::start(&[&["--workers=8"], &minute[..]].concat());
    let address = process.address;
    let waiting = open(crowd, address);
    let mut delayed: Vec<_> = (0..crowd.delayed).map(|_| process.open("/delay?ms=500")).collect();
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
    let p99 = round_trips[round_trips.len() * 99 / 100];
    let status = ProcStatus(process.id());
    let (threads, memory) = (status.threads(), status.resident() >> 10);
    println!("{} sessions wait: p99 {p99:?}, {threads} threads, {memory} KiB", crowd.total());
    assert!(metric(address, "ws_echo_connections_open") >= waiting.len() as u64, "waiting sessions were cut");
    assert!(threads < 8 + 10, "{threads} threads");
    p99
}

#[test]
fn waiting_sessions_do_not_delay_active_ones() {
    let p99 = p99_beside(Crowd::SMALL);
    // Other tests run on the same processors. The figure of a quiet machine is far below.
    assert!(p99 < Duration::from_millis(500), "p99 {p99:?}");
}

#[test]
#[ignore = "needs a quiet machine and 10,300 open files"]
fn quiet_machine_ten_thousand_waiting_sessions_leave_a_p99_below_20_ms() {
    let p99 = p99_beside(Crowd::WHOLE);
    assert!(p99 < Duration::from_millis(20), "p99 {p99:?}");
}

#[test]
fn session_that_keeps_its_worker_busy_does_not_hold_up_the_others() {
    let blocking = |session: &mut WebSocketSession, message: Message| {
        // As an endpoint should not do.
        thread::sleep(Duration::from_millis(300));
        echo(session, message)
    };
    let routes = Routes::standard().with("/blocking", move || blocking);
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
            thread::spawn(move || while reader.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {})
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

#[test]
fn pushes_and_the_stop_reach_waiting_sessions_without_a_worker() {
    let (handles, handle_of) = channel();
    let (release, released) = channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let routes = Routes::standard().with("/handle", move || {
        let (handles, released) = (handles.clone(), Arc::clone(&released));
        move |session: &mut WebSocketSession, message: Message| {
            handles.send(session.handle()).unwrap();
            if message.len() > 1 {
                // The only worker is busy until the test releases it.
                let _ = released.lock().unwrap().recv_timeout(TEST_TIMEOUT);
            }
            Next::Continue
        }
    });
    let server = TestServer::with_routes(Config { workers: 1, ..config() }, routes);
    let (mut waiting, mut busy) = (server.open("/handle"), server.open("/handle"));
    waiting.send(text("x"));
    let handle = handle_of.recv_timeout(TEST_TIMEOUT).unwrap();
    busy.send(text("busy"));
    handle_of.recv_timeout(TEST_TIMEOUT).unwrap();
    handle.push(&Message::text("pushed")).unwrap();
    assert_eq!(waiting.read_text(), "pushed");
    server.stop.request();
    for client in [&mut waiting, &mut busy] {
        assert_eq!(client.read_frame(), Frame::close(1001, "server shutting down"));
        client.send(masked(0x88, 1001_u16.to_be_bytes()));
    }
    release.send(()).unwrap();
    waiting.expect_end();
    busy.expect_end();
    assert_eq!(server.finish().totals.clean, 2);
}

/// Connections that wait in each way while the only worker serves another one.
#[test]
fn waiting_in_the_middle_of_anything_takes_no_worker() {
    let server = TestServer::with(Config { workers: 1, connections: 20, ..config() });
    let mut waiting = vec![server.connect()];
    let mut head = server.connect();
    head.send("GET /echo HTTP/1.1\r\nHo");
    let mut frame = server.open("/echo");
    frame.send(&text("unfinished")[..9]);
    let mut fragments = server.open("/echo");
    fragments.send(masked(0x01, "unfinished"));
    waiting.extend([head, frame, fragments]);
    let timed = [
        "/delay?ms=1h",
        "/throttle?bytes=1",
        "/push?every=1h",
        "/stats",
        "/silent",
        "/source?size=1MiB&count=99",
    ];
    for path in timed {
        let mut client = connect_small(server.address).open(path);
        client.send(text("x"));
        waiting.push(client);
    }
    // The server has sent its Close and waits for that of the client.
    let mut closing = server.open("/close?code=4000");
    assert_eq!(closing.read_frame().code(), 4000);
    let mut client = server.open("/echo");
    for n in 0..100 {
        client.send(text(&n.to_string()));
        assert_eq!(client.read_text(), n.to_string());
    }
    client.close();
    drop(closing);
}
