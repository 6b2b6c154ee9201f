//! `ws-load merge`: what it adds up, how it judges, and which logs it refuses.

use crate::{
    runs::{StartedRun, merge, scratch, start, ws_load},
    starved::{BusyLoop, start_beside},
    test_servers::Server,
};
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry, LogIteratorError};
use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

#[test]
fn merge_of_two_logs_equals_the_sum_of_the_runs() {
    let server = Server::echo();
    let logs = [scratch("one.hlog"), scratch("two.hlog")];
    let runs = logs.each_ref().map(|log| {
        start(
            &server.url(),
            &["-c", "3", "--rate", "300", "-D", "1200ms", "--hdr-log", log.to_str().unwrap()],
        )
    });
    let runs = runs.map(StartedRun::wait);
    let merged = merge(&logs, &["--assert", "errors==0"]);
    assert_eq!(merged.code, Some(0), "{merged:?}");
    for name in ["sent", "replies", "opened", "in_window", "scheduled"] {
        assert_eq!(merged.count(name), runs.iter().map(|run| run.count(name)).sum::<u64>(), "{name}");
    }
    for metric in ["corrected", "raw", "connect", "handshake"] {
        let counts = runs.each_ref().map(|run| run.json[metric]["count"].as_u64().unwrap());
        assert_eq!(merged.json[metric]["count"], counts.iter().sum::<u64>(), "{metric}");
        let most = runs.iter().map(|run| run.number(&format!("/{metric}/max_us"))).fold(0.0, f64::max);
        assert!((merged.number(&format!("/{metric}/max_us")) - most).abs() < 1e-6, "{metric}");
    }
    // Two runs of 300 messages per second each.
    assert!((590.0..=610.0).contains(&merged.number("/rate")), "{merged:?}");
    let alone = merge(&logs[..1], &[]);
    for key in ["p50_us", "p90_us", "p99_us", "p999_us", "mean_us"] {
        let (log, run) = (&alone.json["corrected"][key], &runs[0].json["corrected"][key]);
        assert_eq!(log, run, "{key} from the log and from the run");
    }
    for log in &logs {
        let _ = fs::remove_file(log);
    }
}

#[test]
fn merge_rejects_a_malformed_log_with_the_line_number() {
    let log = scratch("bad.hlog");
    fs::write(&log, "#a comment\n0.0,1.0,2.0,notahistogram\n").unwrap();
    let run = merge(std::slice::from_ref(&log), &[]);
    assert_eq!((run.code, run.stderr.lines().count()), (Some(1), 1), "{run:?}");
    assert!(run.stderr.contains("line 2"), "{run:?}");
    let _ = fs::remove_file(log);
}

/// Makes the log of a short run, and returns its path.
fn log(server: &Server, name: &str, options: &[&str]) -> PathBuf {
    let log = scratch(name);
    let common = ["-c", "2", "--rate", "200", "-D", "300ms", "--hdr-log", log.to_str().unwrap()];
    let run = ws_load(&server.url(), &[&common[..], options].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    log
}

#[test]
fn merge_of_inconclusive_runs_is_inconclusive() {
    let server = Server::echo();
    let logs = [scratch("late-1.hlog"), scratch("late-2.hlog")];
    // More than this program can send on a processor that it shares. At a common time: one after the other
    // on a busy machine, they could not be merged.
    let busy_loop = BusyLoop::start();
    let at = humantime::format_rfc3339_millis(SystemTime::now() + Duration::from_secs(3)).to_string();
    let runs = logs.each_ref().map(|log| {
        let options = ["-c", "10", "--rate", "20000000", "-D", "2s", "--drain", "100ms", "--start-at", &at];
        let judged = ["--assert", "p99<1h", "--hdr-log", log.to_str().unwrap()];
        start_beside(&server, &[&options[..], &judged].concat())
    });
    let runs = runs.map(StartedRun::wait);
    for run in &runs {
        assert_eq!(run.json["asserts"][0]["result"], "inconclusive", "{run:?}");
    }
    drop(busy_loop);
    // At the end of a run that gets a processor too late, its connections may be closed.
    let open = runs.iter().map(|run| run.number("/open_at_end")).sum::<f64>();
    let busy = runs.iter().map(|run| run.number("/generator/busy")).fold(0.0, f64::max);
    let merged = merge(&logs, &["--assert", "p99<1h", "--assert", &format!("open=={open}")]);
    assert_eq!(merged.code, Some(3), "{merged:?}");
    assert_eq!(merged.json["asserts"][0]["result"], "inconclusive", "{merged:?}");
    assert_eq!(merged.json["asserts"][1]["result"], "holds", "{merged:?}");
    assert_eq!(merged.json["generator"]["kept_schedule"], false, "{merged:?}");
    assert!(merged.json["generator"]["lateness"]["count"].as_u64() > Some(0), "{merged:?}");
    assert!(busy > 0.0 && (merged.number("/generator/busy") - busy).abs() < 1e-6, "{busy}: {merged:?}");
    assert!(merged.words().contains("could not keep its schedule"), "{merged:?}");
    assert_eq!(merged.json["rate_asked"], 40_000_000, "{merged:?}");
    assert_eq!(merged.json["runs"][1]["log"], logs[1].to_str().unwrap(), "{merged:?}");
    for log in &logs {
        let _ = fs::remove_file(log);
    }
}

#[test]
fn merge_contains_the_reasons_of_lost_connections() {
    let server = Server::raw(|stream, _, _| {
        let Ok(mut websocket) = tungstenite::accept(stream) else { return };
        let _ = websocket.read();
    });
    let log = scratch("lost.hlog");
    let run = ws_load(&server.url(), &["-c", "2", "-D", "20s", "--hdr-log", log.to_str().unwrap()]);
    let merged = merge(std::slice::from_ref(&log), &[]);
    assert_eq!((run.count("lost"), run.code, merged.code), (2, Some(1), Some(1)), "{run:?}{merged:?}");
    assert_eq!(merged.json["reasons"], run.json["reasons"], "{merged:?}");
    let _ = fs::remove_file(log);
}

/// Checks that a merge fails with one line that contains `words`, and prints no figures.
fn refused(logs: &[PathBuf], words: &str) {
    let run = merge(logs, &[]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.lines().count()), (Some(1), "", 1), "{run:?}");
    assert!(run.stderr.contains(words), "{words}: {run:?}");
}

#[test]
fn merge_refuses_logs_that_are_empty_or_cut_off() {
    let server = Server::echo();
    let [whole, changed] = [log(&server, "whole.hlog", &[]), scratch("changed.hlog")];
    let text = fs::read_to_string(&whole).unwrap();
    let refused_text = |text: &str, words: &str| {
        fs::write(&changed, text).unwrap();
        refused(std::slice::from_ref(&changed), words);
    };
    refused_text("", "empty");
    let totals = text.rfind("#ws-load-totals").unwrap();
    refused_text(&text[..totals], "cut off: the last line with the totals is missing");
    refused_text(&text[..text.len() - 20], "cut off in the middle of this line");
    refused_text(&text[..totals - 20], "cut off in the middle of this line");
    refused_text(&format!("{text}{text}"), "several logs in one file");
    let foreign: String =
        text.lines().filter(|line| !line.starts_with("#ws-load")).map(|line| format!("{line}\n")).collect();
    refused_text(&foreign, "no log of ws-load");
    for log in [whole, changed] {
        let _ = fs::remove_file(log);
    }
}

#[test]
fn merge_refuses_logs_of_another_version() {
    let server = Server::echo();
    let [whole, changed] = [log(&server, "version.hlog", &[]), scratch("changed-version.hlog")];
    let text = fs::read_to_string(&whole).unwrap();
    let newer = text.replace("\"version\":2", "\"version\":9");
    let older = "#[ws-load 0.1.0: ws://h/, nanoseconds]\n#ws-load {\"measured_ns\":1,\"counters\":{}}\n";
    for (text, words) in [(newer.as_str(), "log version 9"), (older, "log version 1")] {
        fs::write(&changed, text).unwrap();
        refused(std::slice::from_ref(&changed), words);
    }
    for log in [whole, changed] {
        let _ = fs::remove_file(log);
    }
}

#[test]
fn merge_refuses_a_run_that_is_given_twice() {
    let server = Server::echo();
    let [whole, copy] = [log(&server, "once.hlog", &[]), scratch("copy.hlog")];
    fs::copy(&whole, &copy).unwrap();
    refused(&[whole.clone(), whole.clone()], "the same run as");
    refused(&[whole.clone(), copy.clone()], "the same run as");
    for log in [whole, copy] {
        let _ = fs::remove_file(log);
    }
}

#[test]
fn merge_refuses_runs_one_after_the_other() {
    let server = Server::echo();
    let logs = [log(&server, "first.hlog", &[]), log(&server, "second.hlog", &[])];
    refused(&logs, "one after the other cannot be added");
    for log in logs {
        let _ = fs::remove_file(log);
    }
}

#[test]
fn hdr_log_is_valid_for_other_readers_of_the_format() {
    let server = Server::echo();
    let log = log(&server, "format.hlog", &[]);
    let text = fs::read(&log).unwrap();
    let entries: Result<Vec<_>, LogIteratorError> = IntervalLogIterator::new(&text).collect();
    let entries = entries.expect("an interval log");
    let intervals = entries.iter().filter(|entry| matches!(entry, LogEntry::Interval(_))).count();
    let starts = entries.iter().filter(|entry| matches!(entry, LogEntry::StartTime(_))).count();
    assert!(intervals >= 4 && starts == 1, "{intervals} intervals, {starts} start times");
    let _ = fs::remove_file(log);
}
