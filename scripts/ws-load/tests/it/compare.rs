//! `ws-load compare`.

use crate::{
    runs::{StartedRun, scratch, start},
    test_servers::Server,
};
use std::{fs, path::Path, process::Command, time::Duration};

/// Runs `ws-load compare`. Returns the exit code, standard output and standard error.
fn compare(before: &Path, after: &Path) -> (Option<i32>, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_ws-load")).arg("compare").arg(before).arg(after).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), out, err)
}

#[test]
fn compare_shows_each_change_and_whether_it_is_more_than_the_spread() {
    let files = [scratch("fast.json"), scratch("slow.json")];
    let servers = [5, 60].map(|delay| {
        Server::replying(move |_, message| {
            std::thread::sleep(Duration::from_millis(delay));
            vec![message]
        })
    });
    let urls = servers.each_ref().map(Server::url);
    let run = |url: &str, size| start(url, &["-c", "2", "-D", "4s", "--size", size]);
    // At the same time, which takes less of it.
    let runs = [run(&urls[0], "20"), run(&urls[1], "1KiB")].map(StartedRun::wait);
    for (file, run) in files.iter().zip(&runs) {
        fs::write(file, run.json.to_string()).unwrap();
    }
    let (code, out, err) = compare(&files[0], &files[1]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let row = |name: &str| {
        let row = out.lines().find(|line| line.trim_start().starts_with(name));
        row.unwrap_or_else(|| panic!("no {name}: {out}"))
    };
    for name in ["rate ", "p50 "] {
        assert!(row(name).ends_with("more than the spread"), "{out}");
    }
    assert!(row("rate ").contains('-') && row("p50 ").contains('+'), "{out}");
    let differing = format!(
        "\n  The runs differ, a / b:\n  url: {} / {}\n  messages: text, 20 bytes / text, 1KiB\n",
        urls[0], urls[1]
    );
    assert!(out.ends_with(&differing), "{out}");
    assert!(out.contains("–: no spread, "), "{out}");
    let (code, out, _) = compare(&files[0], &files[0]);
    assert_eq!(code, Some(0));
    assert!(
        out.contains("within the spread") && !out.contains("more than") && !out.contains("differ"),
        "{out}"
    );
    for file in files {
        let _ = fs::remove_file(file);
    }
}

#[test]
fn compare_refuses_other_files() {
    let file = scratch("other.json");
    for (text, words) in
        [("{}", "not the JSON of a run"), ("{\"schema\":9}", "schema 9"), ("x", "expected value")]
    {
        fs::write(&file, text).unwrap();
        let (code, out, err) = compare(&file, &file);
        assert_eq!((code, out.as_str(), err.lines().count()), (Some(1), "", 1), "{err}");
        assert!(err.contains(words), "{words}: {err}");
    }
    let (code, _, err) = compare(Path::new("/there/is/none.json"), &file);
    assert!(code == Some(1) && err.starts_with("ws-load: /there/is/none.json: "), "{err}");
    let _ = fs::remove_file(file);
}
