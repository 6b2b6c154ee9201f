//! Shutdown during a storm of connections: each connection has one of a few outcomes, and both sides count
//! the same.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use socket2::{Domain, Socket, Type};

use crate::harness::{Client, TEST_TIMEOUT, TestServer, config, eventually, masked, upgrade};
use ws_echo::Config;

/// What a client that connects around a shutdown gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// 101, and then a complete closing handshake.
    Served,
    /// 503 because all workers and queue places are taken.
    QueueFull,
    /// 503 because the server shuts down.
    ShuttingDown,
    /// The kernel reset the connection: it was in the backlog of the listener when that was closed.
    Reset,
    /// The kernel refused the connection: nothing listens.
    Refused,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Served, Self::QueueFull, Self::ShuttingDown, Self::Reset, Self::Refused];

    /// Connects, and checks that the response is one of these, whole.
    fn of_connection(address: SocketAddr) -> Self {
        // From another address than the server's: a connection to a closed port could otherwise meet itself.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
        let stream = match socket.connect(&address.into()) {
            Ok(()) => TcpStream::from(socket),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Self::Refused,
            // The listener was closed during the TCP handshake.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Self::Reset,
            Err(error) => panic!("cannot connect: {error}"),
        };
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        let mut client = Client { stream };
        match Self::of_request(&mut client) {
            Ok(outcome) => outcome,
            Err(error) if [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()) => {
                Self::Reset
            }
            Err(error) => panic!("no response: {error}"),
        }
    }

    fn of_request(client: &mut Client) -> io::Result<Self> {
        client.stream.write_all(upgrade("/echo").as_bytes())?;
        // An end of stream in place of a response would be found below.
        assert!(client.stream.peek(&mut [0])? > 0, "closed without a response");
        let head = client.read_head();
        if head.starts_with("HTTP/1.1 101 ") {
            client.send(masked(0x88, 1000_u16.to_be_bytes()));
            let code = client.read_frame().code();
            assert!([1000, 1001].contains(&code), "closed with {code}");
            client.expect_end();
            return Ok(Self::Served);
        }
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: "), "{head}");
        let mut body = String::new();
        client.stream.read_to_string(&mut body)?;
        Ok(if body.contains("shutting down") { Self::ShuttingDown } else { Self::QueueFull })
    }
}

/// Part of a shutdown in which a connection began and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StormPhase {
    /// Ended before the shutdown was requested.
    Before,
    /// Neither before nor after.
    During,
    /// Began after the listener was seen closed.
    After,
}

#[test]
fn shutdown_during_a_connection_storm_gives_every_connection_its_outcome() {
    const THREADS: usize = 6;
    const AFTER_CLOSING: usize = 20;
    // Fewer places than clients, so that some are rejected.
    let server = TestServer::with(Config { connections: 2, waiting: 1, ..config() });
    // These keep a worker and thereby the shutdown open until the storm has seen the listener closed.
    let mut holding = server.open("/echo");
    let address = server.address;
    let (requested, listener_closed) = (AtomicBool::new(false), AtomicBool::new(false));
    let (done_before, done_after) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let outcomes = Mutex::new(Vec::new());
    let storm = || {
        while done_after.load(SeqCst) < AFTER_CLOSING {
            let began_after = listener_closed.load(SeqCst);
            let outcome = Outcome::of_connection(address);
            let phase = match (began_after, requested.load(SeqCst)) {
                (true, _) => StormPhase::After,
                (false, true) => StormPhase::During,
                (false, false) => StormPhase::Before,
            };
            outcomes.lock().unwrap().push((phase, outcome));
            match phase {
                StormPhase::Before => drop(done_before.fetch_add(1, SeqCst)),
                StormPhase::During if outcome == Outcome::Refused => listener_closed.store(true, SeqCst),
                StormPhase::During => {}
                StormPhase::After => drop(done_after.fetch_add(1, SeqCst)),
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(storm)).collect();
        eventually("a storm", || done_before.load(SeqCst) >= 200);
        requested.store(true, SeqCst);
        server.stop.request();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_eq!(holding.read_frame().code(), 1001);
    holding.send(masked(0x88, 1001_u16.to_be_bytes()));
    holding.expect_end();
    let totals = server.finish().totals;

    let outcomes = outcomes.into_inner().unwrap();
    let count = |wanted_phase, wanted| {
        outcomes.iter().filter(|(phase, outcome)| *phase == wanted_phase && *outcome == wanted).count()
    };
    let table: Vec<_> = [StormPhase::Before, StormPhase::During, StormPhase::After]
        .map(|phase| (phase, Outcome::ALL.map(|outcome| (outcome, count(phase, outcome)))))
        .into();
    let only = |phase, allowed: &[Outcome]| {
        let others = Outcome::ALL.into_iter().filter(|outcome| !allowed.contains(outcome));
        assert_eq!(others.map(|outcome| count(phase, outcome)).sum::<usize>(), 0, "{phase:?}: {table:?}");
    };
    only(StormPhase::Before, &[Outcome::Served, Outcome::QueueFull]);
    only(StormPhase::After, &[Outcome::Refused]);
    for (phase, outcome, least) in [
        (StormPhase::Before, Outcome::Served, 1),
        (StormPhase::Before, Outcome::QueueFull, 1),
        (StormPhase::During, Outcome::Refused, 1),
        (StormPhase::After, Outcome::Refused, AFTER_CLOSING),
    ] {
        assert!(count(phase, outcome) >= least, "{phase:?} {outcome:?}: {table:?}");
    }
    // Both sides count the same, and `holding` besides.
    let all = |wanted| outcomes.iter().filter(|(_, outcome)| *outcome == wanted).count() as u64;
    let rejected = |reason| totals.rejected.get(reason).copied().unwrap_or_default();
    let in_handshake = totals.closed.get(&("http", 503)).copied().unwrap_or_default();
    assert_eq!(totals.clean, all(Outcome::Served) + 1, "{totals:?} {table:?}");
    assert_eq!(rejected("full"), all(Outcome::QueueFull), "{totals:?} {table:?}");
    assert_eq!(rejected("stopping") + in_handshake, all(Outcome::ShuttingDown), "{totals:?} {table:?}");
}
