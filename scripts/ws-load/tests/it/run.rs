//! The load generator: which replies it verifies, and how it ends after failures.

use crate::{
    runs::{Run, faults, ws_load},
    test_servers::Server,
};
use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Mutex,
};
use tungstenite::Message;

#[test]
fn closed_loop_counts_the_same_as_the_server() {
    let server = Server::echo();
    let run = ws_load(&server.url(), &["-c", "7", "-t", "2", "-d", "3", "-n", "5000"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!((run.count("sent"), run.count("replies")), (5000, 5000), "{run:?}");
    assert_eq!(server.counted(), 5000);
    assert_eq!((run.count("opened"), run.count("closed_clean")), (7, 7), "{run:?}");
    assert_eq!(run.json["corrected"]["count"], 5000, "{run:?}");
    assert!(run.stdout.contains("5,000 valid replies"), "{run:?}");
}

/// Starts a server that sends wrong replies to one of every ten messages of a connection.
fn faulty(fault: impl Fn(Message) -> Vec<Message> + Send + Sync + 'static) -> Server {
    Server::replying(move |number, message| if number % 10 == 5 { fault(message) } else { vec![message] })
}

/// Sends 100 messages, 10 of which get wrong replies. On one connection: how two would share them is not
/// deterministic.
fn run_100(server: &Server) -> Run {
    let run = ws_load(&server.url(), &["-c", "1", "-n", "100"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    run
}

#[test]
fn reply_with_other_bytes_is_changed() {
    let server = faulty(|message| vec![Message::text(message.to_string().to_uppercase())]);
    let run = run_100(&server);
    assert_eq!(faults(&run), [("changed", 10)], "{run:?}");
    assert!(run.stdout.contains("10 changed replies"), "{run:?}");
}

#[test]
fn reply_that_is_truncated_is_changed() {
    let server = faulty(|message| vec![Message::text(&message.to_string()[..19])]);
    assert_eq!(faults(&run_100(&server)), [("changed", 10)]);
}

#[test]
fn reply_with_another_opcode_is_of_the_wrong_kind() {
    let server = faulty(|message| vec![Message::binary(message.into_data())]);
    assert_eq!(faults(&run_100(&server)), [("wrong_kind", 10)]);
}

#[test]
fn reply_that_never_arrives_is_missing() {
    let server = faulty(|_| vec![]);
    // More in flight than are missing, so that these do not hold up the others.
    let run = ws_load(&server.url(), &["-c", "1", "-n", "100", "-d", "20", "--drain", "3s"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(faults(&run), [("missing", 10)], "{run:?}");
    assert_eq!(run.count("replies"), 90, "{run:?}");
}

#[test]
fn reply_that_arrives_twice_is_repeated() {
    let server = faulty(|message| vec![message.clone(), message]);
    assert_eq!(faults(&run_100(&server)), [("repeated", 10)]);
}

#[test]
fn reply_to_no_message_is_unsolicited() {
    let server = faulty(|message| vec![message, Message::text("by the way")]);
    let run = run_100(&server);
    assert_eq!(faults(&run), [("unasked", 10)], "{run:?}");
    assert_eq!(run.count("replies"), 100, "{run:?}");
}

#[test]
fn reply_for_another_connection_is_counted_as_misdelivered() {
    let first = Mutex::new(None::<Message>);
    // Every reply is followed by the first message of the first connection.
    let server = Server::replying(move |_, message| {
        let mut first = first.lock().unwrap();
        let earlier = first.get_or_insert_with(|| message.clone()).clone();
        vec![message, earlier]
    });
    let run = ws_load(&server.url(), &["-c", "2", "-n", "20"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    // One connection receives its own first message again, the other one receives the message of the first.
    let (repeated, misdelivered) = (run.count("repeated"), run.count("misdelivered"));
    assert!(repeated > 0 && misdelivered > 0 && repeated + misdelivered == 20, "{run:?}");
    assert_eq!((faults(&run).len(), run.count("replies")), (2, 20), "{run:?}");
}

#[test]
fn reply_after_a_later_one_is_out_of_order() {
    // Replies to every second message before the one ahead of it.
    let server = Server::raw(|stream, _, _| {
        let Ok(mut websocket) = tungstenite::accept(stream) else { return };
        while let Ok(one) = websocket.read() {
            let Ok(two) = websocket.read() else { break };
            if websocket.send(two).is_err() || websocket.send(one).is_err() {
                break;
            }
        }
        while websocket.flush().is_ok() && websocket.read().is_ok() {}
    });
    let run = ws_load(&server.url(), &["-c", "1", "-d", "2", "-n", "40"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(faults(&run), [("reordered", 20)], "{run:?}");
    assert_eq!(run.count("replies"), 20, "{run:?}");
}

#[test]
fn reply_after_the_timeout_is_late() {
    // The reply to message 5 is sent with the one to message 6, which arrives only when 5 has timed out.
    let held = Mutex::new(None::<Message>);
    let server = Server::replying(move |number, message| match number {
        5 => {
            *held.lock().unwrap() = Some(message);
            vec![]
        }
        6 => held.lock().unwrap().take().into_iter().chain([message]).collect(),
        _ => vec![message],
    });
    let run = ws_load(&server.url(), &["-c", "1", "-n", "20", "--timeout", "2s"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(faults(&run), [("late", 1)], "{run:?}");
    assert!(run.number("/corrected/max_us") > 2_000_000.0, "{run:?}");
}

#[test]
fn lost_connections_are_reported_with_the_reason() {
    let server = Server::raw(|stream, number, _| {
        let Ok(mut websocket) = tungstenite::accept(stream) else { return };
        for _ in 0..5 {
            let Ok(message) = websocket.read() else { return };
            let _ = websocket.send(message);
        }
        if number == 0 {
            return;
        }
        let _ = websocket
            .close(Some(tungstenite::protocol::CloseFrame { code: 1011.into(), reason: "oops".into() }));
        while websocket.read().is_ok() {}
    });
    let run = ws_load(&server.url(), &["-c", "2", "-D", "20s"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(run.count("lost"), 2, "{run:?}");
    let reasons =
        run.json["reasons"].as_object().map(|map| map.keys().cloned().collect::<Vec<_>>().join(" "));
    let reasons = reasons.unwrap_or_default();
    assert!(reasons.contains("closed by the server: 1011 oops"), "{reasons}");
    assert!(reasons.contains("reset") || reasons.contains("without a closing handshake"), "{reasons}");
}

/// Checks that a run fails with this exit code and one line, which contains `words`.
fn fails_with_one_line(url: &str, options: &[&str], code: i32, words: &str) {
    let run = ws_load(url, options);
    assert_eq!(run.code, Some(code), "{run:?}");
    assert_eq!(run.stdout, "", "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert!(run.stderr.contains(words), "{run:?}");
}

#[test]
fn unreachable_or_invalid_target_fails_with_one_line() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fails_with_one_line(
        &format!("ws://{free}/"),
        &["-c", "3"],
        1,
        "connection refused; is a server listening",
    );
    fails_with_one_line(&format!("ws://{free}/"), &["--churn", "-c", "3"], 1, "connection refused");
    fails_with_one_line("ws://no-such-host.invalid/", &[], 1, "has no address");
    fails_with_one_line("http://127.0.0.1/", &[], 2, "must start with ws:// or wss://");
    fails_with_one_line(&format!("ws://{free}/"), &["-c", "1", "-t", "2"], 2, "--threads");
    let huge = ["-c", "1000000"];
    fails_with_one_line(&format!("ws://{free}/"), &huge, 1, "open files");
}

#[test]
fn unreachable_with_http_status_reports_the_status() {
    for (status, words) in [
        ("404 Not Found", "HTTP 404 Not Found; check the path"),
        ("503 Service Unavailable", "HTTP 503 Service Unavailable; the server is at capacity"),
    ] {
        let server = Server::raw(move |mut stream, _, _| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        });
        fails_with_one_line(&server.url(), &["-c", "3"], 1, words);
    }
}

#[test]
fn unreachable_without_a_response_times_out() {
    let server = Server::raw(|stream, _, _| {
        let _ = (&stream).read_to_end(&mut Vec::new());
    });
    let words = "time-out in the WebSocket handshake";
    fails_with_one_line(&server.url(), &["-c", "2", "--connect-timeout", "300ms"], 1, words);
    let churn = ["--churn", "-c", "2", "-D", "300ms", "--drain", "200ms"];
    fails_with_one_line(&server.url(), &churn, 1, "no connection could be opened");
}
