//! Whole sessions over loopback with the real binary, against the oracle.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::dice::Dice;
use super::oracle::{self, End, Reading};
use super::run;
use super::wire::{self, MAX_MESSAGE};
use crate::binary::{Process, command};
use crate::compression::{OFFER, inflated};
use crate::harness::{Client, Frame, eventually, metric, request};

/// Sessions at a time: as many as the server has workers.
const SESSIONS: usize = 4;

/// What a session may hold at most: its message as it came, as inflated and as an answer, each in a buffer that may
/// have doubled; and a compressor and a decompressor.
const PER_SESSION: usize = 6 * MAX_MESSAGE + (512 << 10);

/// What the process may take besides: its threads' stacks, and what the allocator keeps for each of them.
const BESIDES: usize = 2 << 20;

/// Longer than this the server does not wait for a client that has been told everything.
const LINGER: Duration = Duration::from_secs(1);

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    /// It ends its half, and reads to the end.
    Politely,
    /// It waits for the server to end first, which the server has reason to.
    Last,
    /// It resets the connection in the middle of everything.
    Reset,
}

/// A server with a small limit, which sends Pings all the time.
pub fn server() -> Process {
    let max_message = MAX_MESSAGE.to_string();
    let workers = SESSIONS.to_string();
    Process::spawn(
        command(&["--listen", "127.0.0.1:0", "--workers", &workers, "--max-message", &max_message])
            .args(["--waiting", "100", "--ping-interval", "50ms", "--pong-timeout", "1h"])
            .env("RUST_LOG", "error"),
    )
}

/// The server has to be as well as before, and to end without a word about a panic.
pub fn examine(server: Process) {
    eventually("no session is left over", || metric(server.address, "ws_echo_connections_open") <= 1);
    assert_eq!(metric(server.address, "ws_echo_panics_total"), 0);
    let peak = kib(&server, "VmHWM") - kib(&server, "RssFile");
    let limit = (BESIDES + SESSIONS * PER_SESSION) >> 10;
    println!("memory: {peak} KiB at most, of {limit} KiB");
    assert!(peak <= limit, "{peak} KiB, more than {limit} KiB");
    server.signal("TERM");
    let (code, out, err) = server.wait();
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
}

/// A line of the process's status; the peak counts the program's own file as well, as far as it has been read.
fn kib(server: &Process, name: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn any_session_is_answered_as_the_rfcs_say_and_ends() {
    let server = server();
    run("fuzz::session", SESSIONS, |dice| converse(dice, &server));
    examine(server);
}

/// Holds one session.
fn converse(dice: &mut Dice, server: &Process) {
    let deflate = dice.chance(60);
    let bytes = wire::session(dice, deflate);
    let reading = oracle::read(&bytes, deflate);
    let leave = match dice.below(10) {
        0 => Leave::Reset,
        1..=3 if reading.end != End::Open => Leave::Last,
        _ => Leave::Politely,
    };
    let (words, path) = if dice.chance(20) { ("Received: ", "/") } else { ("", "/echo") };
    let fields: &[_] = if deflate { &[("Sec-WebSocket-Extensions", OFFER)] } else { &[] };
    let wire = [request(path, fields).as_bytes(), &bytes].concat();
    let mut client = Client::connect(server.address);
    let since = Instant::now();
    let answer = thread::scope(|scope| {
        let mut writer = client.stream.try_clone().unwrap();
        scope.spawn(move || {
            for piece in dice.pieces(&wire) {
                // The server may be done with this client already.
                if writer.write_all(piece).is_err() {
                    return;
                }
            }
            match leave {
                Leave::Politely => drop(writer.shutdown(Shutdown::Write)),
                Leave::Last => {}
                Leave::Reset => {
                    let _ = SockRef::from(&writer).set_linger(Some(Duration::ZERO));
                    let _ = writer.shutdown(Shutdown::Read);
                }
            }
        });
        if leave == Leave::Reset { Some(Vec::new()) } else { read_all(&mut client, since) }
    });
    // Without an answer there is nothing to judge: the client was reset, or too slow.
    if let Some(answer) = answer.filter(|_| leave != Leave::Reset) {
        judge(&answer, &reading, deflate, words.as_bytes());
    }
}

/// Reads to the end. `None` when a machine under load made this client miss the time to take its leave.
fn read_all(client: &mut Client, since: Instant) -> Option<Vec<u8>> {
    let mut answer = Vec::new();
    match client.stream.read_to_end(&mut answer) {
        Ok(_) => Some(answer),
        Err(error) if error.kind() == ErrorKind::ConnectionReset && since.elapsed() >= LINGER => None,
        Err(error) => panic!("{error} after {} bytes and {:?}", answer.len(), since.elapsed()),
    }
}

/// Whether the answer is the right one, to its last byte.
fn judge(answer: &[u8], reading: &Reading, deflate: bool, words: &[u8]) {
    let head_end = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("no head") + 4;
    let (head, answer) = answer.split_at(head_end);
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(head));
    let mut frames = frames(answer, deflate);
    let close = frames.pop_if(|frame| frame.first == 0x88);
    match (&reading.end, &close) {
        (End::Open, None) => {}
        (End::Closed(payload), Some(close)) if *payload == close.payload => {}
        (End::Failed(codes), Some(close)) if codes.contains(&close.code()) => {
            assert!(str::from_utf8(&close.payload[2..]).is_ok(), "{close:?}");
        }
        (end, close) => panic!("{close:?} where the end should be {end:?}"),
    }
    let (mut messages, mut pings) = (reading.messages.iter(), reading.pings.iter());
    for Frame { first, payload } in frames {
        match first {
            // The supervisor's.
            0x89 => assert!(payload.is_empty(), "a Ping with {payload:?}"),
            // Only the last of several Pings has to be answered (RFC 6455, 5.5.3), and none twice.
            0x8a => assert!(pings.any(|ping| *ping == payload), "no such Ping: {payload:?}"),
            _ => {
                let wanted = messages.next().expect("too many messages");
                let words = if first & 0x0f == 0x1 { words } else { b"" };
                let payload = if first & 0x40 == 0 { payload } else { inflated(&payload) };
                assert_eq!(first, wanted.first);
                assert!(payload == [words, &wanted.payload].concat(), "another message came back");
            }
        }
    }
    let missing = messages.count();
    assert_eq!(missing, 0, "echoes are missing, before {close:?}");
}

/// All frames of an answer, each whole, unmasked, of a kind that a server sends, and as short as it can be.
fn frames(answer: &[u8], deflate: bool) -> Vec<Frame> {
    let (mut rest, mut frames): (_, Vec<Frame>) = (answer, Vec::new());
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
