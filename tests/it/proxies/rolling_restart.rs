//! A short run of `scripts/rolling-restart`.

use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "needs proxies of Debian and a build of ws-load; scripts/test has both"]
fn rolling_restart_under_load_loses_nothing_behind_each_proxy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let programs = Path::new(env!("CARGO_BIN_EXE_ws-echo")).parent().unwrap();
    assert!(programs.join("ws-load").exists(), "build it with `cargo build --package ws-load`");
    let output = Command::new(root.join("scripts/rolling-restart"))
        .args(["--all", "--delay", "2", "--spread", "1", "--programs"])
        .arg(programs)
        .output()
        .unwrap();
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{table}{}", String::from_utf8_lossy(&output.stderr));
    // Each proxy has three loads, and sessions of the first two were closed and opened again.
    assert_eq!(table.lines().filter(|line| line.contains("| rate |")).count(), 3, "{table}");
    for line in table.lines().filter(|line| line.contains("| rate |") || line.contains("| depth |")) {
        let sessions: u64 = line.split('|').nth(6).unwrap().trim().parse().unwrap();
        assert!(sessions > 50, "no session was opened again: {line}");
    }
}
