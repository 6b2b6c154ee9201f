//! The load generator at a constant rate: latency counts from the moment a message should have been sent.

use crate::{
    runs::{Run, faults, ws_load},
    test_servers::Server,
};
use std::{
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};
use tungstenite::accept;

#[test]
fn rate_shows_a_stall_in_the_corrected_latency_and_not_in_the_raw_one() {
    // The server sends no reply during the fifth second after its first message.
    let first = OnceLock::new();
    let server = Server::replying(move |_, message| {
        let since = first.get_or_init(Instant::now).elapsed();
        let (from, to) = (Duration::from_secs(4), Duration::from_secs(5));
        if (from..to).contains(&since) {
            thread::sleep(to.saturating_sub(since));
        }
        vec![message]
    });
    let run = ws_load(&server.url(), &["-c", "10", "--rate", "1000", "-D", "10s"]);
    assert_eq!(faults(&run), vec![], "{run:?}");
    let (corrected, raw) = (run.number("/corrected/p99_us"), run.number("/raw/p99_us"));
    assert!(corrected > 600_000.0, "corrected p99 {corrected} µs: {run:?}");
    assert!(raw < 200_000.0, "raw p99 {raw} µs: {run:?}");
    // Every message has a reply, and the late ones are counted as delayed by the server.
    let sent = run.count("sent");
    assert_eq!((sent, sent), (run.count("replies"), server.counted()), "{run:?}");
    // On a busy machine some are due at the end and have no room.
    assert!(sent > 9_500 && sent + run.count("unsent") == 10_000, "{run:?}");
    assert!(run.count("held_back") >= 800, "{run:?}");
    // The time series contains the second of the stall.
    let rates: Vec<f64> = run.json["series"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|point| point["max_us"].as_f64())
        .collect();
    assert!(rates.iter().any(|max| *max > 900_000.0), "{rates:?}");
}

#[test]
fn rate_is_kept_with_several_threads() {
    let server = Server::echo();
    let run = ws_load(
        &server.url(),
        &["-c", "7", "-d", "32", "-t", "3", "--rate", "500", "-D", "2s", "--warmup", "500ms"],
    );
    assert_eq!(run.code, Some(0), "{run:?}");
    // 2.5 s of messages, of which the 2 s after the warm-up are measured.
    assert_eq!((run.count("sent"), run.count("replies"), server.counted()), (1250, 1250, 1250), "{run:?}");
    assert_eq!((run.json["corrected"]["count"].as_u64(), run.count("unsent")), (Some(1000), 0), "{run:?}");
    assert!((490.0..=510.0).contains(&run.number("/rate")), "{run:?}");
}

#[test]
fn rate_that_is_not_reached_is_a_line_and_exit_code_3() {
    let server = delaying(Duration::from_millis(20));
    // 2 connections send at most 100 messages a second.
    for (limit, unsent) in [(["-D", "1s"], true), (["-n", "100"], false)] {
        let run = ws_load(&server.url(), &[&["-c", "2", "--rate", "500"][..], &limit].concat());
        assert_eq!((run.code, faults(&run)), (Some(3), vec![]), "{run:?}");
        assert_eq!(run.json["rate_reached"], false, "{run:?}");
        assert_eq!(run.count("unsent") > 0, unsent, "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        assert!(run.stderr.starts_with("ws-load: the rate was not reached: "), "{run:?}");
        assert!(run.stdout.contains(" of 500 requested: NOT REACHED"), "{run:?}");
    }
    let run = ws_load(&server.url(), &["-c", "20", "-d", "9", "--rate", "100", "-D", "1s"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!(run.json["rate_reached"], true, "{run:?}");
}

#[test]
fn rate_of_a_run_without_connections_is_that_of_the_requested_time() {
    // Closes each connection after 20 messages.
    let server = Server::raw(|stream, _, _| {
        let Ok(mut websocket) = accept(stream) else { return };
        for _ in 0..20 {
            let Ok(message) = websocket.read() else { return };
            let _ = websocket.send(message);
        }
        let _ = websocket.close(None);
        while websocket.read().is_ok() {}
    });
    let rate = ["--rate", "200", "-D", "3s", "--assert", "rate>=190"];
    for (threads, limit) in [("1", &rate[..]), ("3", &rate), ("1", &["-D", "3s"])] {
        let run = ws_load(&server.url(), &[&["-c", "5", "-t", threads], limit].concat());
        assert_eq!((run.code, run.count("lost")), (Some(1), 5), "{run:?}");
        assert!((run.number("/measured_seconds") - 3.0).abs() < 1e-6, "{run:?}");
        assert!(run.number("/rate") < 40.0 && run.number("/died_after_seconds") < 2.5, "{run:?}");
        let words = run.words();
        assert!(words.contains("WARNING ended after "), "{run:?}");
        assert!(words.contains(" s of 3.0 s: no connection left."), "{run:?}");
        if limit == &rate[..] {
            assert_eq!(asserts_of(&run), fails_unless_late(&run), "{run:?}");
            assert_eq!(run.count("sent") + run.count("unsent"), 600, "{run:?}");
        }
    }
}

#[test]
fn loss_is_in_the_series_and_in_the_latency_when_it_happens() {
    // Sends no reply to every tenth message.
    let server = Server::replying(|number, message| if number % 10 == 5 { vec![] } else { vec![message] });
    let options = ["-c", "4", "-d", "10", "--rate", "200", "-D", "4s", "--timeout", "500ms"];
    let run = ws_load(&server.url(), &options);
    assert_eq!((run.code, run.count("missing")), (Some(1), 80), "{run:?}");
    let series = run.json["series"].as_array().unwrap();
    let errors: u64 = series.iter().filter_map(|point| point["errors"].as_u64()).sum();
    // All but those of the last 0.6 s, which time out after the measured time.
    assert!((55..=run.json["errors"].as_u64().unwrap()).contains(&errors), "{errors}: {series:?}");
    assert!(series.iter().filter(|point| point["errors"].as_u64() > Some(0)).count() >= 3, "{series:?}");
    assert_eq!(run.json["corrected"]["count"], 800, "{run:?}");
    for percentile in ["/corrected/p99_us", "/raw/p99_us"] {
        assert!(run.number(percentile) >= 500_000.0, "{percentile}: {run:?}");
    }
    assert!(run.stdout.contains("late and missing replies are in it"), "{run:?}");
}

#[test]
fn stages_change_the_rate_over_time() {
    let began = OnceLock::new();
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&arrivals);
    let server = Server::replying(move |_, message| {
        noted.lock().unwrap().push(began.get_or_init(Instant::now).elapsed());
        vec![message]
    });
    let run = ws_load(&server.url(), &["-c", "5", "-d", "99", "-t", "2", "--stages", "0..400/2s,100/1s"]);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    // 400 messages in the ramp, of which three quarters are in its second half, and 100 after it.
    assert_eq!((run.count("sent"), run.count("unsent")), (500, 0), "{run:?}");
    let in_first_second = arrivals.lock().unwrap().iter().filter(|at| at.as_millis() < 1000).count();
    assert!((70..=160).contains(&in_first_second), "{in_first_second}");
    assert_eq!(run.json["rate_asked"], 167, "{run:?}");
    assert!((run.number("/measured_seconds") - 3.0).abs() < 1e-6, "{run:?}");
    for options in [&["--stages", "5"][..], &["--stages", "5/1s", "--rate", "5"], &["--arrivals", "poisson"]]
    {
        assert_eq!(ws_load(&server.url(), options).code, Some(2), "{options:?}");
    }
}

#[test]
fn arrivals_are_even_or_random() {
    for (arrivals, random) in [("even", false), ("poisson", true)] {
        let times = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&times);
        let server = Server::replying(move |_, message| {
            noted.lock().unwrap().push(Instant::now());
            vec![message]
        });
        let options = ["-c", "20", "-d", "9", "--rate", "100", "-D", "3s", "--arrivals", arrivals];
        let run = ws_load(&server.url(), &options);
        assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
        assert!((280..=320).contains(&run.count("sent")), "{run:?}");
        let times = times.lock().unwrap();
        // Of random distances with a mean of 10 ms a quarter is below 3 ms. Even ones become short only on a
        // machine that sends late.
        let close = times.windows(2).filter(|pair| (pair[1] - pair[0]).as_micros() < 3000).count();
        let late = run.json["generator"]["kept_schedule"] == false;
        assert!(late || (close > 45) == random, "{close} of {}: {run:?}", times.len());
    }
}

#[test]
fn rate_ends_after_the_number_of_messages() {
    let server = Server::echo();
    let run = ws_load(&server.url(), &["-c", "3", "-t", "2", "--rate", "1000", "-n", "700"]);
    assert_eq!((faults(&run), run.count("unsent")), (vec![], 0), "{run:?}");
    assert_eq!((run.count("sent"), run.count("replies")), (700, 700), "{run:?}");
}

/// Starts a server that replies to each message after `delay`. Connections do not delay each other.
fn delaying(delay: Duration) -> Server {
    Server::replying(move |_, message| {
        thread::sleep(delay);
        vec![message]
    })
}

#[test]
fn rate_above_the_limit_of_messages_in_flight_names_what_would_do() {
    let server = delaying(Duration::from_millis(50));
    let asserts = ["--assert", "p99<1ms", "--assert", "rate>=1", "--assert", "missing==0"];
    let options = ["--rate", "400", "-D", "1s", "--drain", "5s"];
    let began = Instant::now();
    let run = ws_load(&server.url(), &[&["-c", "4"], &options[..], &asserts[..]].concat());
    assert!(run.stderr.contains("ws-load: the rate was not reached: "), "{run:?}");
    // 4 connections send at most 80 messages in a second. The others wait for no reply, they are never sent.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!((run.code, faults(&run)), (Some(3), vec![]), "{run:?}");
    assert!(run.count("sent") <= 84, "{run:?}");
    assert_eq!(run.count("sent") + run.count("unsent"), 400, "{run:?}");
    assert_eq!((run.count("replies"), server.counted()), (run.count("sent"), run.count("sent")), "{run:?}");
    assert_eq!(asserts_of(&run), ["inconclusive", "holds", "holds"], "{run:?}");
    let needed = run.json["generator"]["in_flight_limit"]["connections_needed"].as_u64().unwrap();
    assert!(needed >= 20, "{run:?}");
    assert!(run.words().contains(&format!("Use --connections {needed} or --depth ")), "{run:?}");
    let run = ws_load(&server.url(), &[&["-c", &needed.to_string()], &options[..]].concat());
    assert_eq!((run.json["generator"]["in_flight_limit"].is_null(), faults(&run)), (true, vec![]), "{run:?}");
    assert!(run.count("sent") > 300, "{run:?}");
}

#[test]
fn rate_above_the_server_capacity_leaves_messages_unsent() {
    // All connections share one resource, which takes 10 ms for each message.
    let resource = Mutex::new(());
    let server = Server::replying(move |_, message| {
        let _held = resource.lock().unwrap();
        thread::sleep(Duration::from_millis(10));
        vec![message]
    });
    let run = ws_load(&server.url(), &["-c", "10", "--rate", "200", "-D", "1s", "--assert", "rate>=190"]);
    assert!(run.count("sent") <= 120, "{run:?}");
    assert_eq!(run.count("sent") + run.count("unsent"), 200, "{run:?}");
    assert!(run.number("/rate") < 110.0, "{run:?}");
    assert!(run.stdout.contains("NOT REACHED") && run.words().contains("not sent in time"), "{run:?}");
    assert_eq!(run.json["generator"]["in_flight_limit"], serde_json::Value::Null, "{run:?}");
    assert_eq!(asserts_of(&run), fails_unless_late(&run), "{run:?}");
}

/// Returns the result of an assertion that fails. A busy machine that sends or reads late makes it
/// inconclusive.
fn fails_unless_late(run: &Run) -> [&'static str; 1] {
    let generator = &run.json["generator"];
    let in_time = generator["kept_schedule"] == true && generator["starved"] == false;
    [if in_time { "fails" } else { "inconclusive" }]
}

/// Returns the results of the assertions.
fn asserts_of(run: &Run) -> Vec<&str> {
    run.json["asserts"].as_array().into_iter().flatten().filter_map(|a| a["result"].as_str()).collect()
}

#[test]
fn rate_above_the_generator_capacity_is_reported_and_inconclusive() {
    let server = Server::echo();
    let asserts = ["--assert", "p99<1h", "--assert", "rate>=1", "--assert", "errors==0"];
    let options = ["-c", "50", "--rate", "20000000", "-D", "1s", "--drain", "100ms"];
    let run = ws_load(&server.url(), &[&options[..], &asserts[..]].concat());
    assert_eq!(run.code, Some(3), "{run:?}");
    assert_eq!(run.json["generator"]["kept_schedule"], false, "{run:?}");
    // On a busy machine it may wait for replies most of the time.
    let words = ["could not keep its schedule", "are too few for this rate"];
    assert!(words.iter().any(|words| run.words().contains(words)), "{run:?}");
    assert_eq!(asserts_of(&run), ["inconclusive", "holds", "holds"], "{run:?}");
    assert!(run.stderr.contains("p99<1h: inconclusive"), "{run:?}");
}
