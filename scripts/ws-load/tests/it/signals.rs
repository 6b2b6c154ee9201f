//! Signals to the load generator: what they end, and what is kept.

use crate::{
    runs::{StartedRun, merge, scratch, start, start_through},
    test_servers::Server,
};
use rustix::process::Signal;
use std::{
    fs,
    io::Read,
    time::{Duration, Instant},
};

/// Waits until `reached`, at most 20 seconds.
fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !reached() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn signals_end_a_run_early_with_the_figures_so_far() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let server = Server::echo();
        let run = start(&server.url(), &["-c", "2", "-D", "10m"]);
        eventually("the load arrives", || server.counted() >= 500);
        run.signal(signal);
        let run = run.wait();
        assert_eq!(run.code, Some(130), "{signal:?}: {run:?}");
        assert_eq!(run.json["interrupted"], true, "{signal:?}: {run:?}");
        assert_eq!(run.count("replies"), server.counted(), "{signal:?}: {run:?}");
        assert!(run.stdout.contains("ended early") && run.number("/rate") > 0.0, "{signal:?}: {run:?}");
    }
}

#[test]
fn signals_before_the_first_connection_is_open_count_the_rest_as_unfinished() {
    let (sender, accepted) = std::sync::mpsc::channel();
    let server = Server::raw(move |mut stream, number, _| {
        let _ = sender.send(number);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let run = start(&server.url(), &["-c", "3", "--connect-timeout", "10m"]);
    for _ in 0..3 {
        accepted.recv_timeout(Duration::from_secs(20)).unwrap();
    }
    run.signal(Signal::TERM);
    let run = run.wait();
    assert_eq!((run.count("attempted"), run.count("unfinished")), (3, 3), "{run:?}");
    assert_eq!((run.code, &run.json["interrupted"]), (Some(130), &true.into()), "{run:?}");
}

#[test]
fn signals_end_the_process_at_the_second_one() {
    // No reply arrives, and the run would wait for them.
    let server = Server::replying(|_, _| vec![]);
    let mut run = start(&server.url(), &["-c", "2", "-D", "10m", "--drain", "10m", "--timeout", "10m"]);
    eventually("the load arrives", || server.counted() >= 2);
    // Two signals that arrive together are one.
    eventually("the process ends", || {
        if run.has_ended() {
            return true;
        }
        run.signal(Signal::TERM);
        false
    });
    let run = run.wait();
    assert_eq!((run.code, run.stdout.as_str()), (Some(130), ""), "{run:?}");
}

#[test]
fn signals_leave_hangup_ignored_under_nohup() {
    let server = Server::echo();
    let shell = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ws-load")];
    let run: StartedRun = start_through(&shell, &server.url(), &["-c", "2", "-n", "20000"]);
    eventually("the load arrives", || server.counted() >= 100);
    run.signal(Signal::HUP);
    let run = run.wait();
    assert_eq!((run.code, run.count("replies")), (Some(0), 20_000), "{run:?}");
}

#[test]
fn hdr_log_has_every_line_also_if_the_process_is_killed() {
    let server = Server::echo();
    let log = scratch("killed.hlog");
    let run = start(&server.url(), &["-c", "2", "-D", "10m", "--hdr-log", log.to_str().unwrap()]);
    let text = || fs::read_to_string(&log).unwrap_or_default();
    let lines = |text: &str| text.lines().filter(|line| line.contains(",0.") || line.contains(",1.")).count();
    eventually("a line is in the log", || lines(&text()) > 0);
    run.signal(Signal::KILL);
    let run = run.wait();
    assert_eq!(run.code, None, "{run:?}");
    assert!(text().ends_with('\n'), "{}", text());
    let merged = merge(std::slice::from_ref(&log), &[]);
    assert!(merged.stderr.contains("the last line with the totals is missing"), "{merged:?}");
    let _ = fs::remove_file(log);
}
