//! Whole sessions over loopback with the real binary, compared with the reference reader.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::oracle::{self, End, Reading};
use super::wire::{self, MAX_MESSAGE};
use super::{Coverage, Floor, run};
use crate::deflate_client::{OFFER, inflated};
use crate::harness::{Client, Frame, eventually, metric, request};
use crate::proc_status::ProcStatus;
use crate::random::Random;
use crate::server_process::{ServerProcess, command};

/// Sessions at a time, and workers of the server.
const SESSIONS: usize = 4;

/// Memory that a session may hold, in bytes: its message as received, inflated and as a reply, each in a buffer that
/// may have doubled, and a compressor and a decompressor.
const PER_SESSION: usize = 6 * MAX_MESSAGE + (512 << 10);

/// Other memory of the process, in bytes: the stacks of its threads, and what the allocator keeps for each of them.
const OTHER_MEMORY: usize = 2 << 20;

/// Time that the server waits for a client to end its side after the last byte.
const LINGER: Duration = Duration::from_secs(1);

/// How a client ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It ends its sending direction, and reads to the end.
    HalfClose,
    /// It waits until the server, which has a reason to, ends the connection.
    Wait,
    /// It resets the connection before it has read anything.
    Reset,
}

/// Starts a server with a small message limit that sends Pings all the time.
pub fn server() -> ServerProcess {
    let max_message = MAX_MESSAGE.to_string();
    let workers = SESSIONS.to_string();
    ServerProcess::spawn(
        command(&["--listen", "127.0.0.1:0", "--workers", &workers, "--max-message", &max_message])
            .args(["--waiting", "100", "--ping-interval", "50ms", "--pong-timeout", "1h"])
            .env("RUST_LOG", "error"),
    )
}

/// Checks that the server has no session left, has had no panic, used little memory, and stops without an error.
pub fn check_and_stop(server: ServerProcess) {
    eventually("no session is left over", || metric(server.address, "ws_echo_connections_open") <= 1);
    assert_eq!(metric(server.address, "ws_echo_panics_total"), 0);
    let status = ProcStatus(server.id());
    // The peak includes the file of the program itself, as far as it has been read.
    let peak = (status.peak() - status.resident_files()) >> 10;
    let limit = (OTHER_MEMORY + SESSIONS * PER_SESSION) as u64 >> 10;
    println!("memory: {peak} KiB at most, of {limit} KiB");
    assert!(peak <= limit, "{peak} KiB, more than {limit} KiB");
    server.signal("TERM");
    let (code, out, err) = server.wait();
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
}

/// What has to be checked at least. About half as often as it is with the usual seeds.
const FLOORS: &[Floor] = &[
    ("response", 60),
    ("echo", 60),
    ("compressed echo", 10),
    ("Pong", 20),
    ("echoed Close", 2),
    ("Close for an error", 20),
    ("end without Close", 15),
    ("reset by the client", 4),
];

#[test]
fn session_of_random_bytes_gets_what_the_rfcs_require() {
    let server = server();
    run("fuzz::session", SESSIONS, FLOORS, |random, coverage| run_session(random, coverage, &server));
    check_and_stop(server);
}

fn run_session(random: &mut Random, coverage: &Coverage, server: &ServerProcess) {
    let deflate = random.chance(60);
    let bytes = wire::session(random, deflate);
    let reading = oracle::read(&bytes, deflate);
    let ending = match random.below(10) {
        0 => Ending::Reset,
        1..=3 if reading.end != End::Open => Ending::Wait,
        _ => Ending::HalfClose,
    };
    let (prefix, path) = if random.chance(20) { ("Received: ", "/") } else { ("", "/echo") };
    let fields: &[_] = if deflate { &[("Sec-WebSocket-Extensions", OFFER)] } else { &[] };
    let wire = [request(path, fields).as_bytes(), &bytes].concat();
    let mut client = Client::connect(server.address);
    let since = Instant::now();
    let response = thread::scope(|scope| {
        let mut writer = client.stream.try_clone().unwrap();
        scope.spawn(move || {
            for piece in random.pieces(&wire) {
                // The server may have closed the connection already.
                if writer.write_all(piece).is_err() {
                    return;
                }
            }
            match ending {
                Ending::HalfClose => drop(writer.shutdown(Shutdown::Write)),
                Ending::Wait => {}
                Ending::Reset => {
                    let _ = SockRef::from(&writer).set_linger(Some(Duration::ZERO));
                    let _ = writer.shutdown(Shutdown::Read);
                }
            }
        });
        if ending == Ending::Reset { None } else { Some(read_all(&mut client, since)) }
    });
    match response {
        None => coverage.count("reset by the client"),
        Some(None) => coverage.count("late client"),
        Some(Some(response)) => {
            coverage.count("response");
            Session { reading: &reading, deflate, prefix: prefix.as_bytes(), coverage }.check(&response);
        }
    }
}

/// Reads to the end. Returns `None` if a busy machine made this client too late to read before the server's reset.
fn read_all(client: &mut Client, since: Instant) -> Option<Vec<u8>> {
    let mut response = Vec::new();
    match client.stream.read_to_end(&mut response) {
        Ok(_) => Some(response),
        Err(error) if error.kind() == ErrorKind::ConnectionReset && since.elapsed() >= LINGER => None,
        Err(error) => panic!("{error} after {} bytes and {:?}", response.len(), since.elapsed()),
    }
}

/// What the server has to send in a session.
struct Session<'a> {
    reading: &'a Reading,
    deflate: bool,
    /// Prefix of text replies.
    prefix: &'a [u8],
    coverage: &'a Coverage,
}

impl Session<'_> {
    /// Checks everything that the server sent, to its last byte.
    fn check(&self, response: &[u8]) {
        let head_end = response.windows(4).position(|end| end == b"\r\n\r\n").expect("no head") + 4;
        let (head, bytes) = response.split_at(head_end);
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(head));
        let mut frames = frames(bytes, self.deflate);
        let close = frames.pop_if(|frame| frame.first == 0x88);
        self.check_end(close.as_ref());
        let (mut messages, mut pings) = (self.reading.messages.iter(), self.reading.pings.iter());
        for Frame { first, payload } in frames {
            match first {
                // The supervisor's.
                0x89 => assert!(payload.is_empty(), "a Ping with {payload:?}"),
                // Only the last of several Pings needs a Pong (RFC 6455, 5.5.3), and none gets two.
                0x8a => {
                    assert!(pings.any(|ping| *ping == payload), "no such Ping: {payload:?}");
                    self.coverage.count("Pong");
                }
                _ => {
                    let wanted = messages.next().expect("too many messages");
                    let prefix = if first & 0x0f == 0x1 { self.prefix } else { b"" };
                    let compressed = first & 0x40 != 0;
                    let payload = if compressed { inflated(&payload) } else { payload };
                    assert_eq!(first, wanted.first);
                    assert!(payload == [prefix, &wanted.payload].concat(), "a different message");
                    self.coverage.count(if compressed { "compressed echo" } else { "echo" });
                }
            }
        }
        let missing = messages.count();
        assert_eq!(missing, 0, "echoes are missing before {close:?}");
    }

    fn check_end(&self, close: Option<&Frame>) {
        match (&self.reading.end, close) {
            (End::Open, None) => self.coverage.count("end without Close"),
            (End::Closed(payload), Some(close)) if *payload == close.payload => {
                self.coverage.count("echoed Close");
            }
            (End::Failed(codes), Some(close)) if codes.contains(&close.code()) => {
                assert!(str::from_utf8(&close.payload[2..]).is_ok(), "{close:?}");
                self.coverage.count("Close for an error");
            }
            (end, close) => panic!("{close:?} instead of {end:?}"),
        }
    }
}

/// Parses what a server sent. Each frame must be whole, unmasked, allowed for a server, and as short as possible.
fn frames(bytes: &[u8], deflate: bool) -> Vec<Frame> {
    let (mut rest, mut frames): (_, Vec<Frame>) = (bytes, Vec::new());
    while let [first, second, after @ ..] = rest {
        assert!(frames.last().is_none_or(|last| last.first != 0x88), "{} bytes after a Close", rest.len());
        let known = matches!(first, 0x81 | 0x82 | 0x88..=0x8a) || deflate && matches!(first, 0xc1 | 0xc2);
        assert!(known, "a frame that begins with {first:#x}");
        let (size, least) = match second {
            0..=125 => (0, 0),
            126 => (2, 126),
            127 => (8, 0x1_0000),
            _ => panic!("a masked frame"),
        };
        let (extended, after) = after.split_at_checked(size).expect("half a header");
        let extended = extended.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let length = if size == 0 { usize::from(*second) } else { extended };
        assert!(length >= least && (length <= 125 || first & 0x08 == 0), "a length of {length}");
        let (payload, after) = after.split_at_checked(length).expect("half a frame");
        frames.push(Frame::new(*first, payload));
        rest = after;
    }
    assert!(rest.is_empty(), "half a header: {rest:?}");
    frames
}
