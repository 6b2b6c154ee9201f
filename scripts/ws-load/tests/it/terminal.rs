//! What is shown on a terminal, and what is not shown elsewhere.

use crate::{runs::ws_load, test_servers::Server};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use std::{
    fs::{File, OpenOptions},
    io::Read,
    process::{Command, Stdio},
};
use tungstenite::Message;

/// Runs on a terminal of 80 columns and 24 rows. Returns the exit code and what the terminal received.
fn on_terminal(url: &str, options: &[&str]) -> (Option<i32>, String) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    tcsetwinsize(&controller, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    let terminal = || OpenOptions::new().read(true).write(true).open(&name).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ws-load"))
        .arg(url)
        .args(options)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .stdout(terminal())
        .stderr(terminal())
        .spawn()
        .unwrap();
    let mut bytes = Vec::new();
    // A terminal that no process has open any more ends with an error.
    let _ = File::from(controller).read_to_end(&mut bytes);
    (child.wait().unwrap().code(), String::from_utf8_lossy(&bytes).into_owned())
}

/// Removes escape sequences.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|letter: char| letter.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        plain.push_str(&part[end..]);
    }
    plain
}

#[test]
fn terminal_of_80_columns_shows_a_live_line_and_colours() {
    let server = Server::echo();
    let options = ["-c", "10", "-D", "2500ms", "--assert", "errors>5"];
    let (code, text) = on_terminal(&server.url(), &options);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("\u{1b}[31mFAILED: 1 of 1 asserts."), "{text}");
    let text = plain(&text);
    let live: Vec<_> = text.split(['\r', '\n']).filter(|line| line.contains(" open  p50 ")).collect();
    assert!(!live.is_empty(), "{text}");
    for line in text.split(['\r', '\n']) {
        assert!(line.trim_end().chars().count() < 80, "{line}");
    }
}

#[test]
fn summary_begins_with_the_verdict_and_fits_80_columns_and_24_rows() {
    let server = Server::replying(|number, message| match number {
        5 => vec![],
        6 => vec![Message::text("x")],
        7 => vec![message.clone(), message],
        _ => vec![message],
    });
    let url = format!("{}?{}", server.url(), "a".repeat(100));
    let common = ["-c", "10", "--rate", "1000", "-D", "1s", "--timeout", "500ms"];
    // A latency would be inconclusive on a busy machine.
    let asserts =
        ["--assert", "sent<1", "--assert", "rate>1", "--assert", "errors<1000", "--assert", "open==10"];
    for (options, first) in [(&common[..], "FAILED: "), (&[&common[..], &asserts].concat(), "FAILED: ")] {
        let run = ws_load(&url, options);
        assert!(run.stdout.starts_with(first), "{run:?}");
        assert!(!run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'), "{run:?}");
        assert!(run.stdout.lines().count() <= 24, "{} rows: {run:?}", run.stdout.lines().count());
        for line in run.stdout.lines() {
            assert!(line.chars().count() < 80, "{line}");
        }
        assert!(!run.stdout.contains('■'), "{run:?}");
    }
    let echo = Server::echo();
    let run = ws_load(&echo.url(), &["-c", "1", "-n", "100", "--histogram"]);
    assert!(run.stdout.starts_with("OK: ") && run.stdout.contains('■'), "{run:?}");
}
