//! What the load generator writes: assertions, JSON, interval logs and their merge, the report.

use crate::{
    runs::{scratch, ws_load},
    test_servers::Server,
};
use std::{fs, process::Command};

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
fn output_to_a_full_disk_keeps_the_summary_and_the_other_files() {
    let server = Server::echo();
    for option in ["--report", "--hdr-log"] {
        let run = ws_load(&server.url(), &["-c", "1", "-n", "50", option, "/dev/full"]);
        assert_eq!(run.code, Some(1), "{option}: {run:?}");
        assert!(run.stdout.contains("50 valid replies"), "{option}: {run:?}");
        assert_eq!(run.count("replies"), 50, "the other file is written");
        assert!(
            run.stderr.starts_with(&format!("ws-load: {option} /dev/full: "))
                && run.stderr.lines().count() == 1,
            "{option}: {run:?}"
        );
    }
}

#[test]
fn output_to_a_missing_folder_fails_before_the_run() {
    let server = Server::echo();
    let run = ws_load(&server.url(), &["-D", "1h", "--report", "/there/is/no/such/folder.html"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.starts_with("ws-load: --report /there/is/no/such/folder.html: "), "{run:?}");
    assert_eq!(run.stdout, "");
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
    // On a small screen each figure of the table has its name, because the head is not shown.
    for part in ["@media (max-width: 40rem)", "attr(data-name)", "<td data-name=\"p99.99\">"] {
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

/// Runs with a free-form command line. Returns the exit code, standard output and standard error.
fn raw(options: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ws-load")).args(options).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), out, err)
}

#[test]
fn output_to_standard_output_is_json_alone() {
    let server = Server::echo();
    let (code, out, err) = raw(&[&server.url(), "-c", "1", "-n", "50", "--json", "-"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON and nothing else");
    assert_eq!((code, &json["counts"]["replies"]), (Some(0), &50.into()), "{out}{err}");
    assert!(err.contains("50 valid replies"), "{err}");
    let (code, out, err) = raw(&[&server.url(), "-c", "1", "-n", "50", "--csv", "-", "--quiet"]);
    assert!(out.starts_with("start_seconds,seconds,rate,p50_us,p99_us,max_us,errors\n0.0"), "{out}");
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

#[test]
fn quiet_prints_only_what_does_not_hold() {
    let server = Server::echo();
    let (code, out, err) = raw(&[&server.url(), "-c", "1", "-n", "50", "-q", "--assert", "max<1ns"]);
    assert_eq!((code, out.as_str(), err.lines().count()), (Some(3), "", 1), "{err}");
}

#[test]
fn output_names_have_to_differ() {
    let server = Server::echo();
    let [file, messages] = [scratch("same.out"), scratch("same-messages.txt")];
    fs::write(&messages, "one\n").unwrap();
    let dotted = file.parent().unwrap().join(".").join(file.file_name().unwrap());
    let [file, dotted, messages] = [&file, &dotted, &messages].map(|path| path.to_str().unwrap());
    for options in [
        ["--csv", file, "--report", file],
        ["--junit", file, "--hdr-log", dotted],
        ["--csv", "-", "--junit", "-"],
        ["--file", messages, "--report", messages],
    ] {
        let run = ws_load(&server.url(), &[&["-D", "1h"][..], &options].concat());
        assert_eq!(run.code, Some(2), "{options:?}: {run:?}");
        assert!(run.stderr.contains("give them different names"), "{options:?}: {run:?}");
    }
    assert_eq!(fs::read_to_string(messages).unwrap(), "one\n");
    let run = ws_load(&server.url(), &["-n", "100", "--csv", "/dev/null", "--report", "/dev/null"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let _ = fs::remove_file(messages);
}

#[test]
fn output_files_survive_a_run_that_opens_no_connection() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for option in ["--hdr-log", "--report", "--csv", "--junit"] {
        let file = scratch("kept.out");
        fs::write(&file, "earlier").unwrap();
        let run = ws_load(&format!("ws://{free}/"), &["-c", "2", option, file.to_str().unwrap()]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "earlier", "{option}");
        let _ = fs::remove_file(file);
    }
}

#[test]
fn json_contains_what_reproduces_the_run() {
    let server = Server::echo();
    let options = ["-c", "2", "-n", "40", "--seed", "7", "-H", "Authorization: Basic abc"];
    let url = server.url();
    let run = ws_load(&url, &options);
    let command: Vec<_> =
        run.json["command"].as_array().unwrap().iter().filter_map(|word| word.as_str()).collect();
    let expected = [&[url.as_str()][..], &options[..7], &["Authorization: ***"]].concat();
    assert_eq!(command[1..=expected.len()], expected, "{command:?}");
    let times = ["started", "ended"].map(|key| run.json[key].as_str().unwrap().to_owned());
    assert!(times[0][..19] <= times[1][..19] && times[0].ends_with('Z'), "{times:?}");
    assert!(run.json["versions"]["ws-load"].is_string(), "{:?}", run.json["versions"]);
}

/// Returns the paths of all numbers that are 0.0: floats, not counts.
fn zeros(path: &str, value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            map.iter().for_each(|(key, value)| zeros(&format!("{path}.{key}"), value, found));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| zeros(path, value, found)),
        serde_json::Value::Number(number) if number.is_f64() && number.as_f64() == Some(0.0) => {
            found.push(path.to_owned());
        }
        _ => {}
    }
}

#[test]
fn json_is_null_where_nothing_was_measured() {
    let server = Server::echo();
    let run = ws_load(&server.url(), &["--hold", "-c", "2", "-D", "1s"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for path in [
        "/rate",
        "/mib_per_second",
        "/corrected/p50_us",
        "/corrected/min_us",
        "/cycle/max_us",
        "/series/0/p99_us",
    ] {
        assert_eq!(run.json.pointer(path), Some(&serde_json::Value::Null), "{path}: {run:?}");
    }
    assert_eq!(run.json["corrected"]["count"], 0, "{run:?}");
    let run = ws_load(&server.url(), &["-c", "1", "-n", "300"]);
    assert!(run.number("/mib_per_second") > 0.0 && run.number("/corrected/p95_us") > 0.0, "{run:?}");
    let mut found = Vec::new();
    zeros("", &run.json, &mut found);
    // Measured, and really 0: the start of the series, and shares and CPU times below their resolution.
    let measured = [
        ".series.start_seconds",
        ".generator.waited",
        ".generator.cpu_user_seconds",
        ".generator.cpu_system_seconds",
    ];
    found.retain(|path| !measured.contains(&path.as_str()) && !path.starts_with(".generator.loop_lateness"));
    assert_eq!(found, Vec::<String>::new(), "{run:?}");
}

#[test]
fn summary_shows_mean_p95_and_mebibytes() {
    let server = Server::echo();
    let run = ws_load(&server.url(), &["-c", "1", "-n", "300", "--size", "4KiB"]);
    for words in [" MiB/s", " min ", " mean ", " p95 "] {
        assert!(run.stdout.contains(words), "{words}: {run:?}");
    }
}

#[test]
fn junit_has_a_case_for_errors_and_for_each_assert() {
    let server = Server::replying(|number, message| if number == 5 { vec![] } else { vec![message] });
    let junit = scratch("junit.xml");
    let options =
        ["-c", "1", "-n", "20", "--timeout", "200ms", "--drain", "1s", "--junit", junit.to_str().unwrap()];
    let asserts = ["--assert", "p99<1h", "--assert", "max<1ns"];
    let run = ws_load(&server.url(), &[&options[..], &asserts].concat());
    assert_eq!(run.code, Some(1), "{run:?}");
    let xml = fs::read_to_string(&junit).unwrap();
    for part in [
        "<?xml version=\"1.0\"",
        "tests=\"3\" failures=\"2\"",
        "name=\"errors\"><failure type=\"errors\" message=\"1 missing replies\"/>",
        "name=\"p99&lt;1h\"/>",
        "name=\"max&lt;1ns\"><failure type=\"fails\"",
        "</testsuites>",
    ] {
        assert!(xml.contains(part), "{part}: {xml}");
    }
    let _ = fs::remove_file(junit);
}
