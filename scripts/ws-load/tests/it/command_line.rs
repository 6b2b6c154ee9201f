//! Completions and the manual page, which are made from the options.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Runs `ws-load` with these arguments, successfully. Returns its standard output.
fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ws-load")).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{arguments:?}: {text}");
    text
}

#[test]
fn completions_contain_every_option_for_each_shell() {
    let help = printed(&["--help"]);
    let long = |line: &str| {
        line.trim_start().split([' ', ',']).find(|word| word.starts_with("--")).map(str::to_owned)
    };
    let options: Vec<String> =
        help.lines().filter(|line| line.trim_start().starts_with('-')).filter_map(long).collect();
    assert!(options.len() > 30, "{options:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["completions", shell]);
        for option in &options {
            assert!(script.contains(option.trim_start_matches("--")), "{shell}: {option}");
        }
    }
    let run = Command::new(env!("CARGO_BIN_EXE_ws-load")).args(["completions", "cmd"]).output().unwrap();
    assert_eq!(run.status.code(), Some(2), "{run:?}");
}

#[test]
fn completions_for_bash_are_a_valid_script() {
    let mut bash =
        Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(printed(&["completions", "bash"]).as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn man_page_describes_options_and_exit_codes() {
    let page = printed(&["man"]);
    for part in [".TH ws-load 1", ".SH OPTIONS", "\\-\\-abort\\-on", "Exit code: 0 success"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn error_about_options_says_what_to_use_instead() {
    for (options, words) in [
        (&["-D", "5"][..], "for example 500ms, 5s or 1m30s"),
        (&["--churn", "--rate", "100"], "use --connect-rate"),
        (&["--churn", "--stages", "100/1s"], "use --connect-rate"),
        (&["--fan-out", "4", "--rate", "9", "--reconnect"], "remove --reconnect"),
        (&["--cacert", "/there/is/none"], "ws-load: --cacert /there/is/none: "),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ws-load"));
        let output = command.arg("ws://127.0.0.1:9/").args(options).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() != Some(0) && text.contains(words), "{options:?}: {text}");
    }
    assert!(!printed(&["--help"]).contains('`'));
}
