//! Messages in one direction only.

use crate::{
    harness::{TestServer, config},
    runs::{faults, ws_load},
    test_servers::Server,
};
use std::{io::ErrorKind, thread, time::Duration};
use tungstenite::Message;
use ws_echo::Config;

/// Starts a server that sends `count` messages at this distance on each connection, then nothing.
fn pushing(every: Duration, count: u64) -> Server {
    Server::raw(move |stream, _, _| {
        let Ok(mut websocket) = tungstenite::accept(stream) else { return };
        for number in 0..count {
            // Waits for a Close, not for a message.
            let _ = websocket.get_ref().set_read_timeout(Some(every));
            match websocket.read() {
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                _ => break,
            }
            if websocket.send(Message::text(format!("{{\"number\":{number}}}"))).is_err() {
                return;
            }
        }
        let _ = websocket.get_ref().set_read_timeout(Some(Duration::from_secs(30)));
        while websocket.read().is_ok() {}
    })
}

#[test]
fn receiving_measures_rate_and_gaps() {
    let server = pushing(Duration::from_millis(20), 1_000_000);
    let run = ws_load(&server.url(), &["-c", "3", "-D", "2s", "--one-way", "receive"]);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    let replies = run.count("replies");
    assert!((100..=300).contains(&replies) && run.count("sent") == 0, "{run:?}");
    // The rate counts the messages of the measured time over all of it.
    assert!((run.number("/rate") - run.number("/counts/in_window") / 2.0).abs() < 0.5, "{run:?}");
    let gap = run.number("/gap/p50_us");
    assert!((20_000.0..60_000.0).contains(&gap), "{run:?}");
    assert!(
        run.number("/gap/min_us") < 60_000.0 && run.json["gap"]["count"].as_u64() < Some(replies),
        "{run:?}"
    );
    assert!(run.stdout.contains("received") && run.stdout.contains("gap "), "{run:?}");
    assert!(run.json["series"][0]["p50_us"].as_f64().is_some_and(|gap| gap >= 10_000.0), "{run:?}");
}

#[test]
fn receiving_shows_that_a_server_has_stopped_sending() {
    let server = pushing(Duration::from_millis(10), 20);
    let options = ["-c", "2", "-D", "2s", "--one-way", "receive", "--assert", "gap.max<1s"];
    let run = ws_load(&server.url(), &options);
    assert_eq!((run.code, run.count("replies")), (Some(3), 40), "{run:?}");
    assert!((1_200_000.0..2_000_100.0).contains(&run.number("/gap/max_us")), "{run:?}");
}

#[test]
fn receiving_checks_what_is_expected() {
    let server = pushing(Duration::from_millis(10), 1_000_000);
    for (expect, valid) in [("json:/number", true), ("json:/other", false)] {
        let run =
            ws_load(&server.url(), &["-c", "1", "-D", "500ms", "--one-way", "receive", "--expect", expect]);
        assert_eq!((run.code == Some(0), run.count("replies") > 0), (valid, valid), "{expect}: {run:?}");
        assert_eq!(run.count("changed") > 0, !valid, "{expect}: {run:?}");
    }
}

#[test]
fn receiving_ends_when_the_server_has_sent_everything() {
    let server = TestServer::start();
    let url = format!("ws://{}/source?size=4KiB&count=500", server.address);
    let run = ws_load(&url, &["-c", "3", "-D", "1m", "--one-way", "receive"]);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    // The messages, and a summary of the server for each connection.
    assert_eq!((run.count("replies"), run.count("closed_clean")), (1503, 3), "{run:?}");
    assert!(run.count("reply_bytes") > 3 * 500 * 4096 && run.number("/measured_seconds") < 50.0, "{run:?}");
    assert!(run.number("/mib_per_second") > 0.1, "{run:?}");
}

#[test]
fn receiving_gives_each_connection_its_turn() {
    // The first connection never finds its socket empty.
    let server = Server::raw(|stream, number, _| {
        let Ok(mut websocket) = tungstenite::accept(stream) else { return };
        let message = Message::binary(vec![0; if number == 0 { 64 << 10 } else { 10 }]);
        let pause = Duration::from_millis(if number == 0 { 0 } else { 20 });
        while websocket.send(message.clone()).is_ok() {
            thread::sleep(pause);
        }
    });
    let run = ws_load(&server.url(), &["-c", "3", "-D", "1500ms", "--one-way", "receive"]);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    assert!(run.number("/gap/max_us") < 1_000_000.0 && run.number("/rate") > 100.0, "{run:?}");
}

#[test]
fn receiving_loses_a_connection_that_ends_otherwise() {
    let server = Server::raw(|stream, number, _| {
        let Ok(mut websocket) = tungstenite::accept(stream) else { return };
        let _ = websocket.send(Message::text("one"));
        let code = if number == 0 { 1011 } else { 1000 };
        let _ =
            websocket.close(Some(tungstenite::protocol::CloseFrame { code: code.into(), reason: "".into() }));
        while websocket.read().is_ok() {}
    });
    let run = ws_load(&server.url(), &["-c", "2", "-D", "30s", "--one-way", "receive"]);
    assert_eq!((run.code, faults(&run)), (Some(1), vec![("lost", 1)]), "{run:?}");
    assert_eq!((run.count("replies"), run.count("closed_clean")), (2, 1), "{run:?}");
    assert!(run.stderr.contains("no connection left"), "{run:?}");
}

#[test]
fn sending_counts_what_the_server_reads() {
    let server = Server::replying(|_, _| vec![]);
    let run = ws_load(&server.url(), &["-c", "2", "-D", "1s", "--size", "1KiB", "--one-way", "send"]);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    // The closing handshake comes after the messages: the server has read all of them.
    assert_eq!((run.count("closed_clean"), server.counted()), (2, run.count("sent")), "{run:?}");
    assert!(run.number("/rate") > 1000.0 && run.number("/mib_per_second") > 1.0, "{run:?}");
    assert_eq!(run.json["rate_asked"], serde_json::Value::Null, "{run:?}");
}

#[test]
fn sending_is_as_slow_as_the_server() {
    // Reads 64 KiB at most every 50 ms: far less than would fit into a second.
    let server = Server::raw(|stream, _, messages| {
        let Ok(mut websocket) = tungstenite::accept(stream) else { return };
        while let Ok(message) = websocket.read() {
            messages.fetch_add(u64::from(message.is_text()), std::sync::atomic::Ordering::Relaxed);
            thread::sleep(Duration::from_millis(if message.is_text() { 50 } else { 0 }));
        }
    });
    let options =
        ["-c", "1", "-D", "1s", "--warmup", "1s", "--size", "1MiB", "--one-way", "send", "--drain", "10s"];
    let run = ws_load(&server.url(), &options);
    assert_eq!((run.code, server.counted()), (Some(0), run.count("sent")), "{run:?}");
    // After the warm-up the buffers of the sockets are full.
    assert!((5.0..=40.0).contains(&run.number("/rate")), "{run:?}");
}

#[test]
fn sending_at_a_rate_expects_no_replies() {
    let server = Server::replying(|_, _| vec![]);
    let run = ws_load(&server.url(), &["-c", "3", "--rate", "300", "-D", "1s", "--one-way", "send"]);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    assert_eq!((run.count("sent"), server.counted()), (300, 300), "{run:?}");
    let echo = Server::echo();
    let run = ws_load(&echo.url(), &["-c", "1", "-n", "100", "-D", "10s", "--one-way", "send"]);
    assert_eq!((run.code, run.count("sent")), (Some(1), 100), "{run:?}");
    assert!(run.count("unasked") > 0, "{run:?}");
}

#[test]
fn one_way_measures_the_endpoints_of_the_server() {
    let server = TestServer::with(Config { connections: 20, ..config() });
    let url = |path: &str| format!("ws://{}{path}", server.address);
    let receive = ["-c", "4", "-D", "1s", "--one-way", "receive"];
    let run = ws_load(&url("/push?every=20ms"), &receive);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    assert!(run.number("/gap/p50_us") > 10_000.0, "{run:?}");
    let run = ws_load(&url("/sink"), &["-c", "4", "-n", "2000", "--size", "4KiB", "--one-way", "send"]);
    assert_eq!((run.code, run.count("sent"), run.count("closed_clean")), (Some(0), 2000, 4), "{run:?}");
    let totals = server.finish().totals;
    assert_eq!(totals.traffic.messages_in, 2000);
}

#[test]
fn one_way_rejects_what_contradicts_it() {
    let server = Server::echo();
    for options in [
        &["--one-way", "receive", "--rate", "5"][..],
        &["--one-way", "receive", "-n", "5"],
        &["--one-way", "send", "--expect", "any"],
        &["--one-way", "send", "--depth", "2"],
        &["--one-way", "both"],
    ] {
        assert_eq!(ws_load(&server.url(), options).code, Some(2), "{options:?}");
    }
}
