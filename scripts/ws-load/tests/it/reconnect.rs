//! Connections that are lost while the load goes on.

use crate::{runs::ws_load, test_servers::Server};
use std::{
    net::TcpStream,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tungstenite::{accept, protocol::CloseFrame};

/// Echoes `limit` messages, then ends the connection without a closing handshake.
fn echo(stream: TcpStream, limit: u64, messages: &AtomicU64) {
    let Ok(mut websocket) = accept(stream) else { return };
    for _ in 0..limit {
        let Ok(message) = websocket.read() else { return };
        if message.is_close() {
            while websocket.read().is_ok() {}
            return;
        }
        messages.fetch_add(1, Ordering::Relaxed);
        if websocket.send(message).is_err() {
            return;
        }
    }
}

#[test]
fn schedule_of_lost_connections_is_kept_by_the_open_ones() {
    for threads in ["1", "2", "3"] {
        // All connections but one are lost after ten messages each.
        let server = Server::raw(|stream, number, messages| {
            echo(stream, if number == 2 { u64::MAX } else { 10 }, messages);
        });
        let run =
            ws_load(&server.url(), &["-c", "4", "-d", "99", "-t", threads, "--rate", "200", "-D", "1s"]);
        assert_eq!((run.code, run.count("lost")), (Some(1), 3), "{run:?}");
        assert_eq!((run.count("sent"), run.count("unsent")), (200, 0), "{run:?}");
        assert_eq!(run.json["rate_reached"], true, "{run:?}");
    }
}

/// At this rate messages are due in the last moment, in threads that end their load after the others.
#[test]
fn schedule_is_kept_to_its_last_moment_by_the_open_connections() {
    for _ in 0..8 {
        let server = Server::raw(|stream, number, messages| {
            echo(stream, if number == 2 { u64::MAX } else { 10 }, messages);
        });
        let options =
            ["-c", "4", "-t", "4", "-d", "4096", "--rate", "10000", "-D", "300ms", "--drain", "10s"];
        let run = ws_load(&server.url(), &options);
        assert_eq!((run.count("lost"), run.count("sent"), run.count("unsent")), (3, 3000, 0), "{run:?}");
    }
}

#[test]
fn reconnect_measures_a_restart() {
    // Ends the first four connections after five messages each, and then all others for half a second.
    let down = OnceLock::new();
    let server = Server::raw(move |stream, number, messages| {
        if number < 4 {
            echo(stream, 5, messages);
            down.get_or_init(Instant::now);
        } else if down.get_or_init(Instant::now).elapsed() > Duration::from_millis(500) {
            echo(stream, u64::MAX, messages);
        }
    });
    for (threads, duration) in [("1", "4s"), ("2", "1s")] {
        let options = [
            "-c",
            "4",
            "-t",
            threads,
            "-d",
            "99",
            "--rate",
            "100",
            "-D",
            duration,
            "--drain",
            "3s",
            "--reconnect",
        ];
        let run = ws_load(&server.url(), &options);
        if threads == "2" {
            // The server is up: nothing is lost.
            assert_eq!((run.code, run.count("lost"), run.count("reconnected")), (Some(0), 0, 0), "{run:?}");
            assert_eq!(run.json["without_service_seconds"], 0.0, "{run:?}");
            continue;
        }
        assert_eq!((run.code, run.count("lost"), run.count("reconnected")), (Some(1), 4, 4), "{run:?}");
        assert_eq!((run.count("sent"), run.count("unsent")), (400, 0), "{run:?}");
        assert_eq!(run.json["down"]["count"], 4, "{run:?}");
        let without = run.number("/without_service_seconds");
        assert!(without > 0.2 && without < run.number("/down/max_us") / 1e6, "{run:?}");
        // The messages that were due meanwhile waited for the server, which their latency shows.
        assert!(run.number("/corrected/p90_us") < 3e6 && run.number("/corrected/max_us") > 3e5, "{run:?}");
        assert!(run.stdout.contains("  reconnected  4 of 4 lost; "), "{run:?}");
        assert_eq!(run.json["died_after_seconds"], serde_json::Value::Null, "{run:?}");
    }
}

#[test]
fn verdict_of_a_restart_says_that_nothing_is_missing() {
    let asserts = ["--assert", "lost>=0"];
    for (options, code, words) in [
        (
            &[][..],
            1,
            "FAILED: nothing missing; 4 connections lost and opened again. If that was planned, add",
        ),
        (&asserts, 0, "OK: nothing missing; 4 connections lost and opened again."),
    ] {
        let server =
            Server::raw(
                |stream, number, messages| {
                    if number < 4 { stop(stream, 5, 1012) } else { echo(stream, u64::MAX, messages) }
                },
            );
        let run = ws_load(&server.url(), &[&["-c", "4", "-D", "1s", "--reconnect"], options].concat());
        assert!(run.code == Some(code) && run.words().starts_with(words), "{run:?}");
    }
}

#[test]
fn reconnect_to_a_server_that_does_not_return_ends_with_the_measured_time() {
    for mode in [&["--rate", "50"][..], &[]] {
        let server = Server::raw(|stream, number, messages| {
            if number < 3 {
                echo(stream, 5, messages);
            }
        });
        let began = Instant::now();
        let run = ws_load(&server.url(), &[&["-c", "3", "-D", "2s", "--reconnect"], mode].concat());
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        assert_eq!((run.code, run.count("lost"), run.count("reconnected")), (Some(1), 3, 0), "{run:?}");
        // Without a growing wait there would be 60 attempts.
        assert!((1..=30).contains(&run.count("failed")), "{run:?}");
        assert!(run.number("/without_service_seconds") > 1.0, "{run:?}");
    }
    let run = ws_load("ws://127.0.0.1:9/", &["--reconnect", "-n", "9"]);
    assert!(run.code == Some(2) && run.stderr.contains("--duration"), "{run:?}");
}

/// Echoes `limit` messages, then closes with `code` without a reply to the message that comes next.
fn stop(stream: TcpStream, limit: u64, code: u16) {
    let Ok(mut websocket) = accept(stream) else { return };
    for _ in 0..limit {
        let Ok(message) = websocket.read() else { return };
        if websocket.send(message).is_err() {
            return;
        }
    }
    if websocket.read().is_ok() {
        let _ = websocket.close(Some(CloseFrame { code: code.into(), reason: "".into() }));
        while websocket.read().is_ok() {}
    }
}

#[test]
fn message_that_crosses_the_close_of_a_stop_is_sent_again() {
    for mode in [&["-d", "8"][..], &["-d", "99", "--rate", "400"], &["--churn"]] {
        for code in [1001, 1012, 1011] {
            let limit = if mode == ["--churn"] { 0 } else { 5 };
            let server = Server::raw(move |stream, number, messages| {
                if number < 4 { stop(stream, limit, code) } else { echo(stream, u64::MAX, messages) }
            });
            let run = ws_load(&server.url(), &[&["-c", "4", "-D", "500ms", "--reconnect"], mode].concat());
            let (lost, missing, resent) = (run.count("lost"), run.count("missing"), run.count("resent"));
            assert!(run.code == Some(1) && lost == 4, "{mode:?} {code}: {run:?}");
            // Only the Close of a stop promises that the message was not processed.
            if code == 1011 {
                assert!(missing >= 4 && resent == 0, "{mode:?}: {run:?}");
            } else {
                assert!(missing == 0 && resent >= 4, "{mode:?} {code}: {run:?}");
                let replies = run.count("replies");
                assert_eq!(replies, run.count("sent"), "{mode:?} {code}: {run:?}");
            }
        }
    }
}
