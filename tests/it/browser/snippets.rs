//! Each code snippet of the page is run as it is shown.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{DESKTOP, choose_kind, open, press, type_into};
use crate::harness::{TestServer, config};
use crate::webdriver::Browser;
use ws_echo::Config;

/// Longest time of a snippet, in seconds.
const TIMEOUT: &str = "30";

/// Directory where `scripts/test` installs the programs.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/page-checks")
}

/// Returns the text of a snippet.
fn snippet(browser: &Browser, name: &str) -> String {
    let code = browser.run(&format!(
        "return [...document.querySelectorAll('#snippets figure')].find((e) => e.querySelector('span').textContent.startsWith('{name}'))?.querySelector('code').textContent"
    ));
    code.as_str().unwrap_or_else(|| panic!("no snippet {name}")).to_owned()
}

/// Runs a program with the text on its standard input, and the installed programs in the path.
fn run(program: &str, arguments: &[&str], input: &str) -> Output {
    let debug = Path::new(env!("CARGO_BIN_EXE_ws-echo")).parent().unwrap();
    let found = [programs().join("venv/bin"), programs().join("node_modules/.bin"), debug.to_owned()];
    let path = std::env::join_paths(
        found.into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut child = Command::new("timeout")
        .arg(TIMEOUT)
        .arg(program)
        .args(arguments)
        .env("PATH", path.unwrap())
        .env("NODE_PATH", programs().join("node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    // Code ends with the input. A command has an input that stays open, as in a terminal: wscat ends with it.
    let open_input = input.is_empty().then_some(stdin);
    let output = child.wait_with_output().unwrap();
    drop(open_input);
    output
}

/// Runs a snippet of a shell and returns its output. The exit code has to be that one.
fn shell(code: &str, exit_code: i32) -> String {
    let output = run("sh", &["-c", code], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(exit_code),
        "{code}\n{text}\n{errors}; scripts/test installs the programs"
    );
    text
}

/// Runs code with a program that reads it from its standard input.
fn script(program: &str, code: &str) -> String {
    let output = run(program, &["-"], code);
    assert!(output.status.success(), "{code}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs Chromium, websocat, wscat, ws and websockets: scripts/test installs them"]
fn page_snippets_send_the_text_and_end() {
    let server =
        TestServer::with(Config { connections: 32, subprotocols: vec!["v2".to_owned()], ..config() });
    let text = "It's \"quoted\" $HOME `x` \\n grüße 👋";
    let browser = open(&server, "", DESKTOP);
    browser.click("#tab-code");
    browser.picture("code");
    for (target, protocols) in [("/", ""), ("/delay?ms=500", "v1, v2")] {
        type_into(&browser, "#url", target);
        type_into(&browser, "#protocols", protocols);
        type_into(&browser, "#message", text);
        let reply = if target == "/" { format!("Received: {text}") } else { text.to_owned() };
        for name in ["websocat", "wscat"] {
            let output = shell(&snippet(&browser, name), 0);
            assert!(output.contains(&reply), "{name}: {output}");
        }
        let output = script("node", &snippet(&browser, "JavaScript for Node"));
        assert!(output.contains(&reply) && output.contains("1000"), "{output}");
        let output = script("python3", &snippet(&browser, "Python"));
        assert_eq!(output.trim_end(), reply);
        // The connection stays open until the time-out, which is exit code 28.
        let output = shell(&snippet(&browser, "curl"), 28);
        assert!(output.starts_with("HTTP/1.1 101 Switching Protocols"), "{output}");
        assert_eq!(output.contains("Sec-WebSocket-Protocol: v2"), !protocols.is_empty(), "{output}");
        let output = shell(&snippet(&browser, "ws-load"), 0);
        assert!(output.contains("errors"), "{output}");
        let seen = run_in_page(&browser);
        assert!(seen.contains(&reply) && seen.contains("1000"), "{seen}");
    }
    browser.finish(&[]);
}

/// Runs the snippet for browsers in the page, and returns what it writes to the console.
fn run_in_page(browser: &Browser) -> String {
    let code = serde_json::Value::from(snippet(browser, "JavaScript in a browser"));
    // WebDriver runs scripts that the content policy of the page does not allow the page itself.
    browser.run(&format!(
        "window.seen = document.createElement('p'); document.body.append(window.seen); window.seen.id = 'seen'; \
         const console = {{ log: (...values) => window.seen.append(values.join(' ') + '\\n') }}; {}",
        code.as_str().unwrap()
    ));
    let text = browser.wait_for("#seen", "the close code", |text| text.contains("1000"));
    browser.run("window.seen.remove()");
    text
}

#[test]
#[ignore = "needs Chromium, websocat, ws and websockets: scripts/test installs them"]
fn page_snippets_send_bytes_as_bytes() {
    let server = TestServer::with(Config { connections: 32, ..config() });
    let browser = open(&server, "#url=/info", DESKTOP);
    type_into(&browser, "#url", "/echo");
    choose_kind(&browser, "hex");
    type_into(&browser, "#message", "00 01 27 5c 25 7f 80 ff");
    let output = run("sh", &["-c", &snippet(&browser, "websocat")], "");
    assert_eq!(output.stdout, [0x00, 0x01, 0x27, 0x5c, 0x25, 0x7f, 0x80, 0xff], "{output:?}");
    assert!(script("node", &snippet(&browser, "JavaScript for Node")).contains("0,   1,  39,"));
    assert_eq!(script("python3", &snippet(&browser, "Python")).trim_end(), r#"b"\x00\x01'\\%\x7f\x80\xff""#);
    assert!(shell(&snippet(&browser, "ws-load"), 0).contains("errors"));
    assert!(run_in_page(&browser).contains("0,1,39,92,37,127,128,255"));
    press(&browser, "#tab-endpoints");
    browser.finish(&[]);
}
