//! `--assert` and `--abort-on`: what is allowed, and what ends a run.

use crate::{
    runs::{faults, ws_load},
    test_servers::Server,
};
use std::time::{Duration, Instant};
use tungstenite::Message;

/// Starts a server that changes one of every ten messages of a connection.
fn changing() -> Server {
    Server::replying(|number, message| match number % 10 {
        5 => vec![Message::text(message.to_string().to_uppercase())],
        _ => vec![message],
    })
}

#[test]
fn assert_on_errors_replaces_the_built_in_zero() {
    let server = changing();
    for (assert, code) in [
        ("errors<=10", 0),
        ("changed<=10", 0),
        ("wrong/sent<=10%", 0),
        ("changed/sent<0.101", 0),
        ("changed<=9", 3),
        ("errors/sent<0.1%", 3),
        // The errors are of a kind that these do not name.
        ("missing==0", 1),
        ("late/sent<1%", 1),
        ("p99<1h", 1),
    ] {
        let run = ws_load(&server.url(), &["-c", "1", "-n", "100", "--assert", assert]);
        assert_eq!((run.code, faults(&run)), (Some(code), vec![("changed", 10)]), "{assert}: {run:?}");
    }
    let run = ws_load(&server.url(), &["-c", "1", "-n", "100", "--assert", "changed/sent<1%"]);
    assert_eq!(run.json["asserts"][0]["seen"], "10.0000 %", "{run:?}");
}

#[test]
fn abort_on_ends_the_run_early() {
    let server = changing();
    let slow = Server::replying(|_, message| {
        std::thread::sleep(Duration::from_millis(20));
        vec![message]
    });
    for (server, condition) in
        [(&server, "changed>=5"), (&server, "errors/sent>5%"), (&slow, "p50>10ms"), (&slow, "rate<1000")]
    {
        let began = Instant::now();
        let run = ws_load(&server.url(), &["-c", "1", "-D", "5m", "--abort-on", condition]);
        assert_eq!(run.code, Some(3), "{condition}: {run:?}");
        assert_eq!(run.json["aborted"]["expression"], condition, "{run:?}");
        assert!(run.stderr.contains(&format!("ended early: {condition} (")), "{run:?}");
        assert!(began.elapsed() < Duration::from_secs(30), "{condition}: {:?}", began.elapsed());
        assert_eq!(run.json["interrupted"], false, "{run:?}");
    }
    let run = ws_load(&slow.url(), &["-c", "1", "-D", "1500ms", "--abort-on", "p50>10s"]);
    assert_eq!((run.code, &run.json["aborted"]), (Some(0), &serde_json::Value::Null), "{run:?}");
}
