//! Request heads over loopback with the real binary: whatever comes in, what goes out is an answer.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;

use super::dice::Dice;
use super::run;
use super::session::{examine, server};
use crate::harness::{Client, request};

/// Statuses that a request head alone can cause.
const STATUSES: [&str; 9] = ["101", "200", "400", "404", "405", "408", "426", "431", "503"];

#[test]
fn any_request_head_gets_a_whole_answer_or_none() {
    let server = server();
    run("fuzz::head", 3, |dice| {
        let wire = head(dice);
        let mut client = Client::connect(server.address);
        let mut answer = Vec::new();
        let ended = thread::scope(|scope| {
            let mut writer = client.stream.try_clone().unwrap();
            scope.spawn(move || {
                for piece in dice.pieces(&wire) {
                    if writer.write_all(piece).is_err() {
                        return;
                    }
                }
                let _ = writer.shutdown(Shutdown::Write);
            });
            client.stream.read_to_end(&mut answer)
        });
        if let Err(error) = ended {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "after {} bytes", answer.len());
        }
        judge(&answer);
    });
    examine(server);
}

/// Mostly a handshake with something odd about it.
fn head(dice: &mut Dice) -> Vec<u8> {
    let values =
        ["", "x", "13", "8", "websocket", "Upgrade, x", "a/b;=", "permessage-deflate; a=\"\\", "é", "0"];
    let names =
        ["Host", "Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Content-Length"];
    let more =
        ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Origin", "Cookie", "Sec-WebSocket-Key1"];
    let mut fields = Vec::new();
    for _ in 0..dice.below(4) {
        let name = if dice.chance(50) { dice.pick(&names) } else { dice.pick(&more) };
        fields.push((name, dice.pick(&values)));
    }
    let path =
        dice.pick(&["/", "/echo", "/?", "*", "http://host", "//", "/%00#?x=y", "ws://a?b", "/metrics"]);
    let mut head = request(path, &fields).into_bytes();
    match dice.below(8) {
        0 => {
            let method = dice.pick(&["HEAD", "POST", "PUT", "get", "", "\0", "OPTIONS"]);
            head.splice(..3, method.bytes());
        }
        1 => head = b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        2 => {
            // Too many fields, or too long ones.
            let (count, length) = dice.pick(&[(10, 10), (90, 100), (101, 1), (3, 9000), (20, 20_000)]);
            let field = format!("X: {}\r\n", "y".repeat(length)).repeat(count);
            let at = head.len() - 2;
            head.splice(at..at, field.bytes());
        }
        3 => {
            let length = dice.below(300);
            head = dice.bytes(length);
        }
        _ => {}
    }
    if dice.chance(50) {
        dice.mutate(&mut head);
    }
    let behind = dice.pick(&[0, 0, 0, 3, 3000]);
    head.extend(dice.bytes(behind));
    head
}

/// An answer is none at all, or whole.
fn judge(answer: &[u8]) {
    if answer.is_empty() {
        return;
    }
    let shown = String::from_utf8_lossy(answer);
    let (head, _) = shown.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole head: {shown}"));
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or_default();
    assert!(STATUSES.contains(&status), "{head}");
    let body = answer.len() - answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() - 4;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    match length.map(|length| length.parse::<usize>().unwrap()) {
        None => assert_eq!(status, "101", "{head}"),
        // A request with the method HEAD may have been made by chance.
        Some(length) => assert!(body == length || body == 0, "{body} of {length} bytes: {head}"),
    }
}
