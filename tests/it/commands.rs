//! The commands `check`, `healthcheck`, `completions` and `man`, and `--version`.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use crate::scratch::Scratch;
use crate::server_process::{ServerProcess, command};

#[path = "../../src/platform/commit.rs"]
#[allow(dead_code, reason = "the build script uses it all")]
mod commit;

/// Runs the program to its end. Returns the exit code, standard output and standard error.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output = command(arguments).envs(environment.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Certificates in a folder.
struct Folder(Scratch);

impl Folder {
    fn new(name: &str) -> Self {
        Self(Scratch::new(name))
    }

    /// Writes a certificate for localhost that is valid in these years, and its key. Returns their options.
    fn certificate(&self, years: [i32; 2]) -> [String; 2] {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years[0], 1, 1);
        params.not_after = rcgen::date_time_ymd(years[1], 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let put = |name: &str, text: String| {
            let path = self.0.path(name);
            fs::write(&path, text).unwrap();
            path
        };
        let [cert, key] = [put("cert.pem", certificate.pem()), put("key.pem", key.serialize_pem())];
        [format!("--tls-cert={cert}"), format!("--tls-key={key}")]
    }
}

#[test]
fn healthcheck_asks_the_server_that_the_environment_describes() {
    let server = ServerProcess::start(&["--shutdown-delay", "1h"]);
    let address = server.address.to_string();
    let listen = [("WS_ECHO_LISTEN", address.as_str())];
    let url = format!("http://{address}/livez: 200 ok\n");
    assert_eq!(run(&["healthcheck"], &listen), (Some(0), url, String::new()));
    assert_eq!(run(&["healthcheck", "/readyz"], &listen).0, Some(0));
    server.signal("TERM");
    let not_ready = || run(&["healthcheck", &format!("http://{address}/readyz")], &[]);
    crate::harness::eventually("it is not ready", || not_ready().0 == Some(1));
    let (_, out, err) = not_ready();
    assert!(out.is_empty() && err.lines().count() == 1, "{out}{err}");
    assert!(err.starts_with(&format!("ws-echo: http://{address}/readyz: 503 ")), "{err}");
    assert_eq!(run(&["healthcheck"], &listen).0, Some(0), "it is alive");
}

#[test]
fn healthcheck_sends_the_proxy_header_that_its_server_requires() {
    let server = ServerProcess::start(&["--proxy-protocol", "require"]);
    let address = server.address.to_string();
    let environment = [("WS_ECHO_LISTEN", address.as_str()), ("WS_ECHO_PROXY_PROTOCOL", "require")];
    let (code, _, err) = run(&["healthcheck"], &environment);
    assert_eq!(code, Some(0), "{err}");
    let (code, _, err) = run(&["healthcheck"], &environment[..1]);
    assert!(code == Some(1) && err.contains("400 this port expects a PROXY header"), "{err}");
}

#[test]
fn healthcheck_asks_the_admin_listener_if_there_is_one() {
    let server = ServerProcess::start(&[]);
    let admin = server.address.to_string();
    let environment = [
        ("WS_ECHO_LISTEN", "127.0.0.1:1"),
        ("WS_ECHO_ADMIN_LISTEN", &admin),
        ("WS_ECHO_PROXY_PROTOCOL", "require"),
    ];
    let (code, out, err) = run(&["healthcheck"], &environment);
    assert_eq!((code, out), (Some(0), format!("http://{admin}/livez: 200 ok\n")), "{err}");
}

#[test]
fn healthcheck_asks_over_tls_with_any_certificate() {
    let folder = Folder::new("tls");
    let [cert, key] = folder.certificate([2020, 2090]);
    let mut arguments = vec!["--listen", "none", "--tls-listen", "127.0.0.1:0", &cert, &key];
    let mut child = command(&arguments).spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let address = crate::server_process::ready_line(&mut out, "wss");
    let server = ServerProcess { child, out, address };
    let address = address.to_string();
    arguments[3] = &address;
    let (cert, key) = (cert.trim_start_matches("--tls-cert="), key.trim_start_matches("--tls-key="));
    let environment = [
        ("WS_ECHO_LISTEN", "none"),
        ("WS_ECHO_TLS_LISTEN", &address),
        ("WS_ECHO_TLS_CERT", cert),
        ("WS_ECHO_TLS_KEY", key),
    ];
    let (code, out, err) = run(&["healthcheck"], &environment);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), format!("https://{address}/livez: 200 ok\n").as_str()),
        "{err}"
    );
    drop(server);
}

#[test]
fn healthcheck_ends_in_time_and_with_1_without_an_answer() {
    // Nothing accepts, so the kernel takes the connection and no response comes.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let start = Instant::now();
    let (code, _, err) = run(&["healthcheck", "--timeout", "200ms", &url], &[]);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!((code, err.lines().count()), (Some(1), 1), "{err}");
    drop(silent);
    let (code, _, err) = run(&["healthcheck", &url], &[]);
    assert_eq!((code, err.lines().count()), (Some(1), 1), "{err}");
    assert!(err.contains("refused"), "{err}");
    let (code, _, err) = run(&["healthcheck"], &[("WS_ECHO_LISTEN", "unix:/nonexistent/socket")]);
    assert!(code == Some(1) && err.starts_with("ws-echo: unix:/nonexistent/socket /livez: "), "{err}");
    assert_eq!(run(&["healthcheck", "ws://localhost"], &[]).0, Some(2), "a usage error");
}

#[test]
fn check_reports_what_a_start_would_find() {
    let folder = Folder::new("check");
    let [cert, key] = folder.certificate([2020, 2090]);
    let (code, out, err) =
        run(&["check", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", &cert, &key], &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    for words in [
        "valid until 2090-01-01",
        "ok       ws: 127.0.0.1:0 can be bound",
        "ok       wss: 127.0.0.1:0 can be bound",
        " workers\n",
        " connections at once, 128 waiting\n",
        " file descriptors\n",
        " for messages, of ",
        "the server would start\n",
    ] {
        assert!(out.contains(words), "no `{words}` in {out}");
    }
}

#[test]
fn check_lists_every_problem_and_exits_with_1() {
    let folder = Folder::new("problems");
    let [cert, key] = folder.certificate([2020, 2021]);
    let server = ServerProcess::start(&[]);
    let used = format!("--listen={}", server.address);
    let (code, out, _) = run(
        &["check", &used, "--tls-listen=127.0.0.1:0", &cert, &key, "--workers=10000000", "--memory=900TiB"],
        &[],
    );
    assert_eq!(code, Some(1), "{out}");
    for words in [
        "problem  certificate ",
        ": expired on 2021-01-01",
        "problem  cannot listen on 127.0.0.1:",
        "problem  cannot start 10000000 workers",
        "problem  900.0 TiB for messages, of ",
        "use a smaller --memory",
        "\n4 problems\n",
    ] {
        assert!(out.contains(words), "no `{words}` in {out}");
    }
    // Nothing listens on a port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rooms = format!("redis://{free}");
    let (code, out, _) = run(&["check", "--listen=127.0.0.1:0", "--rooms", &rooms], &[]);
    assert!(
        code == Some(1) && out.contains(&format!("problem  cannot share rooms over Redis at {free}")),
        "{out}"
    );
    let missing = run(&["check", "--listen=127.0.0.1:0"], &[("WS_ECHO_TUNE", "no_such=1")]);
    assert!(missing.0 == Some(1) && missing.1.contains("unknown name no_such"), "{missing:?}");
    let usage = run(&["check", "--listen", "none"], &[]);
    assert!(usage.0 == Some(2) && usage.2.contains("requires --tls-listen"), "{usage:?}");
}

#[test]
fn environment_sets_switches_and_names_variables_that_are_no_options() {
    let set = [("WS_ECHO_RESTART", "1"), ("WS_ECHO_NO_DEFLATE", "true"), ("WS_ECHO_REPLY_PREFX", "x")];
    let (code, out, err) = run(&["check", "--listen=127.0.0.1:0"], &set);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("warning  WS_ECHO_REPLY_PREFX in the environment is no option"), "{out}");
    assert_eq!(out.matches("warning").count(), 1, "{out}");
    let (code, _, err) = run(&["check", "--rooms-lost", "wait"], &[]);
    assert!(code == Some(2) && err.contains("--rooms <URL>"), "{err}");
}

#[test]
fn version_has_the_commit_and_the_target() {
    let (code, out, _) = run(&["--version"], &[]);
    assert_eq!(code, Some(0));
    let start = format!("ws-echo {} (", env!("CARGO_PKG_VERSION"));
    let inside = out.trim_end().strip_prefix(&start).and_then(|rest| rest.strip_suffix(')'));
    let inside = inside.unwrap_or_else(|| panic!("{out}"));
    let target = inside.rsplit(", ").next().unwrap();
    assert!(target.starts_with(env::consts::ARCH) && target.contains("linux"), "{out}");
}

#[test]
fn commit_comes_from_the_build_the_package_or_git() {
    let folder = Scratch::new("commit");
    let hash = "0123456789abcdef0123456789abcdef01234567";
    let known = |commit: &commit::Commit| commit.hash.clone();
    assert_eq!(commit::commit_of(&folder.0, None), commit::Commit::default(), "no repository");
    assert_eq!(known(&commit::commit_of(&folder.0, Some("unknown"))), None);
    assert_eq!(known(&commit::commit_of(&folder.0, Some(hash))).as_deref(), Some("0123456789ab"));
    let packaged = folder.0.join(".cargo_vcs_info.json");
    fs::write(&packaged, format!("{{\n  \"git\": {{\n    \"sha1\": \"{hash}\"\n  }}\n}}")).unwrap();
    assert_eq!(known(&commit::commit_of(&folder.0, None)).as_deref(), Some("0123456789ab"));
    fs::remove_file(&packaged).unwrap();
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"];
        let mut command = Command::new("git");
        let done = command.current_dir(&folder.0).args(identity).args(arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    git(&["init", "--quiet"]);
    git(&["commit", "--quiet", "--allow-empty", "-m", "a"]);
    let commit = commit::commit_of(&folder.0, None);
    assert!(git(&["rev-parse", "HEAD"]).starts_with(commit.hash.as_deref().unwrap()), "{commit:?}");
    assert!(!commit.watched.is_empty() && commit.watched.iter().all(|file| file.exists()), "{commit:?}");
    let modified = |files: &[PathBuf]| -> Vec<_> {
        files
            .iter()
            .map(|file| fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
            .collect()
    };
    let before = modified(&commit.watched);
    git(&["commit", "--quiet", "--allow-empty", "-m", "b"]);
    assert_ne!(before, modified(&commit.watched), "a build notices the commit");
    let inner = folder.0.join("vendored");
    fs::create_dir(&inner).unwrap();
    assert_eq!(commit::commit_of(Path::new(&inner), None).hash, None, "the repository of another project");
}

#[test]
fn completions_have_options_and_commands_and_are_a_valid_script() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = run(&["completions", shell], &[]);
        assert_eq!(code, Some(0));
        for word in ["max-message", "drain-spread", "healthcheck", "check"] {
            assert!(out.contains(word), "{shell}: {word}");
        }
    }
    let mut bash =
        Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(run(&["completions", "bash"], &[]).1.as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn man_page_describes_options_and_commands() {
    let (code, page, _) = run(&["man"], &[]);
    assert_eq!(code, Some(0));
    for part in
        [".TH ws-echo 1", ".SH OPTIONS", "\\-\\-max\\-message", ".SH SUBCOMMANDS", "ws\\-echo\\-healthcheck"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
}
