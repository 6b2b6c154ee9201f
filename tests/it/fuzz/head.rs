//! Random request heads over loopback with the real binary: the server sends a whole response or none.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;

use super::session::{check_and_stop, server};
use super::{Coverage, Floor, run};
use crate::harness::{Client, request};
use crate::random::Random;

/// Statuses that a request head alone can cause.
const STATUSES: [&str; 9] = ["101", "200", "400", "404", "405", "408", "426", "431", "503"];

/// What has to be received at least. About half as often as it is with the usual seeds.
const FLOORS: &[Floor] = &[("101", 7), ("200", 1), ("400", 20), ("405", 2), ("426", 1), ("431", 3)];

#[test]
fn request_head_of_random_bytes_gets_a_whole_response_or_none() {
    let server = server();
    run("fuzz::head", 3, FLOORS, |random, coverage| {
        let wire = head(random);
        let mut client = Client::connect(server.address);
        let mut response = Vec::new();
        let ended = thread::scope(|scope| {
            let mut writer = client.stream.try_clone().unwrap();
            scope.spawn(move || {
                for piece in random.pieces(&wire) {
                    if writer.write_all(piece).is_err() {
                        return;
                    }
                }
                let _ = writer.shutdown(Shutdown::Write);
            });
            client.stream.read_to_end(&mut response)
        });
        if let Err(error) = ended {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "after {} bytes", response.len());
        }
        check(&response, coverage);
    });
    check_and_stop(server);
}

/// Returns a request head, mostly a handshake with something unusual.
fn head(random: &mut Random) -> Vec<u8> {
    let values =
        ["", "x", "13", "8", "websocket", "Upgrade, x", "a/b;=", "permessage-deflate; a=\"\\", "é", "0"];
    let names =
        ["Host", "Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Content-Length"];
    let more =
        ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Origin", "Cookie", "Sec-WebSocket-Key1"];
    let mut fields = Vec::new();
    for _ in 0..random.below(4) {
        let name = if random.chance(50) { random.pick(&names) } else { random.pick(&more) };
        fields.push((name, random.pick(&values)));
    }
    let path =
        random.pick(&["/", "/echo", "/?", "*", "http://host", "//", "/%00#?x=y", "ws://a?b", "/metrics"]);
    let mut head = request(path, &fields).into_bytes();
    match random.below(8) {
        0 => {
            let method = random.pick(&["HEAD", "POST", "PUT", "get", "", "\0", "OPTIONS"]);
            head.splice(..3, method.bytes());
        }
        1 => head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes(),
        2 => {
            // Too many fields, or too long ones.
            let (count, length) = random.pick(&[(10, 10), (90, 100), (101, 1), (3, 9000), (20, 20_000)]);
            let field = format!("X: {}\r\n", "y".repeat(length)).repeat(count);
            let at = head.len() - 2;
            head.splice(at..at, field.bytes());
        }
        3 => {
            let length = random.below(300);
            head = random.bytes(length);
        }
        _ => {}
    }
    if random.chance(50) {
        random.mutate(&mut head);
    }
    let behind = random.pick(&[0, 0, 0, 3, 3000]);
    head.extend(random.bytes(behind));
    head
}

/// Checks that a response is whole.
fn check(response: &[u8], coverage: &Coverage) {
    if response.is_empty() {
        return coverage.count("no response");
    }
    let shown = String::from_utf8_lossy(response);
    let (head, _) = shown.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole head: {shown}"));
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or_default();
    let known = STATUSES.iter().find(|known| **known == status);
    coverage.count(known.unwrap_or_else(|| panic!("unexpected status: {head}")));
    let body = response.len() - response.windows(4).position(|end| end == b"\r\n\r\n").unwrap() - 4;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    match length.map(|length| length.parse::<usize>().unwrap()) {
        None => assert_eq!(status, "101", "{head}"),
        // The random request may have been one with the method HEAD.
        Some(length) => assert!(body == length || body == 0, "{body} of {length} bytes: {head}"),
    }
}
