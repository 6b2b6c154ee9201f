//! The load generator: what it verifies, and how it ends when things go wrong.

use crate::{
    runs::{Run, wrongs, ws_load},
    test_servers::Server,
};
use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Mutex,
};
use tungstenite::Message;

#[test]
fn a_closed_loop_counts_what_the_server_counts() {
    let server = Server::echo();
    let run = ws_load(&server.url(), &["-c", "7", "-t", "2", "-d", "3", "-n", "5000"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!((run.count("sent"), run.count("replies")), (5000, 5000), "{run:?}");
    assert_eq!(server.counted(), 5000);
    assert_eq!((run.count("opened"), run.count("closed_clean")), (7, 7), "{run:?}");
    assert_eq!(run.json["corrected"]["count"], 5000, "{run:?}");
    assert!(run.stdout.contains("5,000 right replies"), "{run:?}");
}

/// What a bad server does to message number `n` of a connection, when `n` is one of every ten.
fn spoiling(spoil: impl Fn(Message) -> Vec<Message> + Send + Sync + 'static) -> Server {
    Server::answering(move |number, message| if number % 10 == 5 { spoil(message) } else { vec![message] })
}

/// Runs 100 messages, so that 10 of them are spoiled. On one connection: how two would share them is a matter of luck.
fn spoiled(server: &Server) -> Run {
    let run = ws_load(&server.url(), &["-c", "1", "-n", "100", "--timeout", "300ms", "--drain", "2s"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    run
}

#[test]
fn changed_replies_are_counted_as_changed() {
    let server = spoiling(|message| vec![Message::text(message.to_string().to_uppercase())]);
    let run = spoiled(&server);
    assert_eq!(wrongs(&run), [("changed", 10)], "{run:?}");
    assert!(run.stdout.contains("10 changed replies"), "{run:?}");
}

#[test]
fn cut_short_replies_are_counted_as_changed() {
    let server = spoiling(|message| vec![Message::text(&message.to_string()[..19])]);
    assert_eq!(wrongs(&spoiled(&server)), [("changed", 10)]);
}

#[test]
fn replies_of_the_wrong_kind_are_counted_as_that() {
    let server = spoiling(|message| vec![Message::binary(message.into_data())]);
    assert_eq!(wrongs(&spoiled(&server)), [("wrong_kind", 10)]);
}

#[test]
fn dropped_replies_are_missing() {
    let server = spoiling(|_| vec![]);
    let run = spoiled(&server);
    assert_eq!(wrongs(&run), [("missing", 10)], "{run:?}");
    assert_eq!(run.count("replies"), 90, "{run:?}");
}

#[test]
fn replies_sent_twice_are_repeated() {
    let server = spoiling(|message| vec![message.clone(), message]);
    assert_eq!(wrongs(&spoiled(&server)), [("repeated", 10)]);
}

#[test]
fn messages_nobody_asked_for_are_unasked() {
    let server = spoiling(|message| vec![message, Message::text("by the way")]);
    let run = spoiled(&server);
    assert_eq!(wrongs(&run), [("unasked", 10)], "{run:?}");
    assert_eq!(run.count("replies"), 100, "{run:?}");
}

#[test]
fn another_connections_message_is_misdelivered() {
    let first = Mutex::new(None::<Message>);
    // The very first message of all comes back to everyone else's connection.
    let server = Server::answering(move |_, message| {
        let mut first = first.lock().unwrap();
        let earlier = first.get_or_insert_with(|| message.clone()).clone();
        vec![message, earlier]
    });
    let run = ws_load(&server.url(), &["-c", "2", "-n", "20"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    // One connection gets its own first message again and again, the other one gets it too.
    let (repeated, misdelivered) = (run.count("repeated"), run.count("misdelivered"));
    assert!(repeated > 0 && misdelivered > 0 && repeated + misdelivered == 20, "{run:?}");
    assert_eq!((wrongs(&run).len(), run.count("replies")), (2, 20), "{run:?}");
}

#[test]
fn overtaken_replies_are_out_of_order() {
    // Holds back every message with an even number until the next one has been answered.
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
    assert_eq!(wrongs(&run), [("reordered", 20)], "{run:?}");
    assert_eq!(run.count("replies"), 20, "{run:?}");
}

#[test]
fn delayed_replies_are_late() {
    // The reply to message 5 comes with the one to message 6, which is sent only when 5 has timed out.
    let held = Mutex::new(None::<Message>);
    let server = Server::answering(move |number, message| match number {
        5 => {
            *held.lock().unwrap() = Some(message);
            vec![]
        }
        6 => held.lock().unwrap().take().into_iter().chain([message]).collect(),
        _ => vec![message],
    });
    let run = ws_load(&server.url(), &["-c", "1", "-n", "20", "--timeout", "200ms"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(wrongs(&run), [("late", 1)], "{run:?}");
    assert!(run.number("/corrected/max_us") > 200_000.0, "{run:?}");
}

#[test]
fn lost_connections_say_how_they_were_lost() {
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

/// The command line of a run that must fail with one line, and a part of that line.
fn fails_with_one_line(url: &str, options: &[&str], code: i32, words: &str) {
    let run = ws_load(url, options);
    assert_eq!(run.code, Some(code), "{run:?}");
    assert_eq!(run.stdout, "", "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert!(run.stderr.contains(words), "{run:?}");
}

#[test]
fn a_run_that_cannot_start_says_why_in_one_line() {
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
fn refusals_are_told_by_status() {
    for (status, words) in [
        ("404 Not Found", "HTTP 404 Not Found; check the path"),
        ("503 Service Unavailable", "HTTP 503 Service Unavailable; the server has no room"),
    ] {
        let server = Server::raw(move |mut stream, _, _| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        });
        fails_with_one_line(&server.url(), &["-c", "3"], 1, words);
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up_on() {
    let server = Server::raw(|stream, _, _| {
        let _ = (&stream).read_to_end(&mut Vec::new());
    });
    let words = "time-out in the WebSocket handshake";
    fails_with_one_line(&server.url(), &["-c", "2", "--connect-timeout", "300ms"], 1, words);
}
