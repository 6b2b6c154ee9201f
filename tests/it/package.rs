//! The Debian package: built by `scripts/package`, installed into an empty root, and run from there.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::text;
use crate::scratch::Scratch;
use crate::server_process::ServerProcess;

/// Folder with the programs of this build.
fn build_folder() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ws-echo")).parent().unwrap()
}

/// Runs a command to its end, successfully. Returns its standard output.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{command:?}: {out}{err}");
    out
}

/// Returns dpkg on a root of its own, where no other package is installed.
fn dpkg(root: &Path) -> Command {
    let mut command = Command::new("dpkg");
    command.arg(format!("--root={}", root.display()));
    command.args(["--force-depends", "--force-not-root", "--log=/dev/null"]);
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap()));
    command
}

#[test]
#[ignore = "needs cargo-deb; scripts/test installs it"]
fn package_installs_programs_that_run_with_pages_and_completions() {
    let scratch = Scratch::new("package");
    let package = scratch.path("ws-echo.deb");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/package");
    let target = build_folder().parent().unwrap();
    let profile = if build_folder().ends_with("debug") { &["--debug"][..] } else { &[] };
    run(Command::new(script)
        .args(profile)
        .args(["--no-build", "--output", &package])
        .env("CARGO_TARGET_DIR", target));
    let field = |name: &str| run(Command::new("dpkg-deb").args(["--field", &package, name]));
    assert_eq!(field("Version").trim(), concat!(env!("CARGO_PKG_VERSION"), "-1"));
    assert!(field("Depends").contains("libc6"), "{}", field("Depends"));

    let root = scratch.0.join("root");
    fs::create_dir_all(root.join("var/lib/dpkg/info")).unwrap();
    fs::create_dir_all(root.join("var/lib/dpkg/updates")).unwrap();
    fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    run(dpkg(&root).args(["--install", &package]));
    for file in [
        "share/man/man1/ws-echo.1.gz",
        "share/man/man1/ws-load.1.gz",
        "share/bash-completion/completions/ws-echo",
        "share/zsh/vendor-completions/_ws-load",
        "share/fish/vendor_completions.d/ws-echo.fish",
        "share/doc/ws-echo/copyright",
        "lib/systemd/system/ws-echo.service",
    ] {
        let size = fs::metadata(root.join("usr").join(file)).map(|metadata| metadata.len());
        assert!(size.as_ref().is_ok_and(|size| *size > 500), "{file}: {size:?}");
    }
    assert!(run(Command::new(root.join("usr/bin/ws-load")).arg("--version")).starts_with("ws-load "));

    let mut command = Command::new(root.join("usr/bin/ws-echo"));
    command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = ServerProcess::spawn(&mut command);
    let mut client = server.open("/");
    client.send(text("installed"));
    assert_eq!(client.read_text(), "Received: installed");
    client.close();
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));

    run(dpkg(&root).args(["--purge", "ws-echo"]));
    assert!(!root.join("usr/bin/ws-echo").exists(), "the removal takes the files away");
}
