//! What the load generator writes: assertions, JSON, interval logs and their merge, the report.

use crate::{
    runs::{StartedRun, merge, scratch, start, ws_load},
    test_servers::Server,
};
use std::fs;

#[test]
fn assert_prints_only_what_does_not_hold() {
    let server = Server::echo();
    let run = ws_load(&server.url(), &["-c", "1", "-n", "50", "--assert", "p99<1m", "--assert", "errors==0"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let run =
        ws_load(&server.url(), &["-c", "1", "-n", "50", "--assert", "max<1ns", "--assert", "replies==50"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(
        run.stderr.starts_with("ws-load: assert max<1ns: ") && run.stderr.lines().count() == 1,
        "{run:?}"
    );
    let run = ws_load(&server.url(), &["--assert", "speed>9"]);
    assert_eq!(run.code, Some(2), "{run:?}");
}

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
    let merged = merge(&logs, &["--assert", "errors==0", "--assert", "rate>1"]);
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
fn output_to_a_full_disk_keeps_the_summary_and_the_other_files() {
    let server = Server::echo();
    for option in ["--report", "--hdr-log"] {
        let run = ws_load(&server.url(), &["-c", "1", "-n", "50", option, "/dev/full"]);
        assert_eq!(run.code, Some(1), "{option}: {run:?}");
        assert!(run.stdout.contains("50 valid replies"), "{option}: {run:?}");
        assert_eq!(run.count("replies"), 50, "the other file is written");
        assert!(
            run.stderr.starts_with("ws-load: /dev/full: ") && run.stderr.lines().count() == 1,
            "{option}: {run:?}"
        );
    }
}

#[test]
fn output_to_a_missing_folder_fails_before_the_run() {
    let server = Server::echo();
    let run = ws_load(&server.url(), &["-D", "1h", "--report", "/there/is/no/such/folder.html"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.starts_with("ws-load: /there/is/no/such/folder.html: "), "{run:?}");
    assert_eq!(run.stdout, "");
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

#[test]
fn report_is_one_page_without_external_references() {
    let server = Server::echo();
    let report = scratch("report.html");
    let options = [
        "-c",
        "2",
        "-d",
        "99",
        "--rate",
        "200",
        "-D",
        "1s",
        "-H",
        "X: <script>",
        "--report",
        report.to_str().unwrap(),
    ];
    // `<` is percent-encoded in a URL. The report escapes `&`.
    let run = ws_load(&format!("{}?a=<b>&b=2", server.url()), &options);
    assert_eq!(run.code, Some(0), "{run:?}");
    let page = fs::read_to_string(&report).unwrap();
    for part in
        ["<!DOCTYPE html>", "<svg", "corrected", "a=%3Cb%3E&amp;b=2", "prefers-color-scheme", "</html>"]
    {
        assert!(page.contains(part), "no {part} in the page");
    }
    for part in ["src=", "href=", "url(", "@import", "<script"] {
        assert!(!page.contains(part), "{part} in the page");
    }
    // `note` has no style of its own.
    let classes = page.split("class=\"").skip(1).flat_map(|rest| rest.split('"').next().unwrap().split(' '));
    for class in classes.filter(|class| *class != "note") {
        assert!(page.contains(&format!(".{class}")), "the style sheet has no class {class}");
    }
    let _ = fs::remove_file(report);
}
