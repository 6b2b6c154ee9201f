//! The files for a cluster, compared with each other and with the options of the server.

use std::fs;

use crate::server_process::command;

fn read(file: &str) -> String {
    fs::read_to_string(format!("{}/scripts/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Returns the value behind the first `name`, up to the end of the line.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    text.split_once(name).unwrap_or_else(|| panic!("no {name}")).1.lines().next().unwrap().trim()
}

#[test]
fn deployment_has_options_that_the_server_accepts_and_that_match_its_limits() {
    let text = read("kubernetes/deployment.yaml");
    let options: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("- --")).collect();
    assert!(options.len() >= 6, "{options:?}");
    let options: Vec<_> = options.iter().map(|option| format!("--{option}")).collect();
    let mut arguments: Vec<_> = options.iter().map(String::as_str).collect();
    // The number of connections depends on the limits of the machine, and the last value counts.
    arguments.retain(|option| !option.starts_with("--listen=") && !option.starts_with("--connections="));
    let output = command(&["check", "--listen=127.0.0.1:0"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let number = |name: &str, unit: &str| -> u64 {
        value(&text, name).trim_end_matches(unit).parse().unwrap_or_else(|_| panic!("{name} in {unit}"))
    };
    let limits = text.split_once("limits:").unwrap().1;
    let limit: u64 = value(limits, "memory:").trim_end_matches("Mi").parse().unwrap();
    assert_eq!(limit, 2 * number("--memory=", "MiB"), "half of the limit is for messages");
    let longest = number("--shutdown-delay=", "s") + number("--drain-timeout=", "s");
    assert!(number("terminationGracePeriodSeconds:", "") > longest, "SIGKILL would come before the end");
}

#[test]
fn container_and_cluster_files_have_the_version_and_the_user() {
    let version = env!("CARGO_PKG_VERSION");
    let dockerfile = read("container/Dockerfile");
    assert_eq!(value(&dockerfile, "ARG VERSION="), version);
    let user = value(&dockerfile, "USER ").split(':').next().unwrap();
    let rust = value(&dockerfile, "ARG RUST_VERSION=");
    assert_eq!(rust, env!("CARGO_PKG_RUST_VERSION"));
    for file in ["kubernetes/deployment.yaml", "kubernetes/load-job.yaml"] {
        let text = read(file);
        assert_eq!(value(&text, "image: registry.example.org/ws-echo:"), version, "{file}");
        assert_eq!(value(&text, "runAsUser:"), user, "{file}");
    }
}
