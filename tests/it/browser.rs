//! The page in a real browser. A test fails if the console has an error or the content policy was violated.
//!
//! They need the Debian packages `chromium`, `chromium-driver` and `libnss3-tools`, and are run by `scripts/test`.

use std::fs;
use std::process::Command;

use crate::certificate::{dev_cert, serve_dev_cert};
use crate::harness::{TestServer, config};
use crate::webdriver::Browser;
use ws_echo::{Config, Server, ShutdownSignal, listen};

const DESKTOP: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (390, 844);

/// Opens the page of a server and waits until it has connected.
fn open(server: &TestServer, hash: &str, size: (u32, u32)) -> Browser {
    let browser = Browser::open(&format!("http://{}/{hash}", server.address), size);
    browser.expect("#status", "Connected to ");
    browser
}

/// Chromium logs this for every connection that failed or was closed abnormally.
const FAILED: &str = "WebSocket connection to ";

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_sends_and_receives_with_mouse_and_keyboard() {
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    browser.expect("#log", "onopen");
    assert_eq!(browser.run("return document.activeElement === document.body"), true, "nothing has the focus");
    browser.click("#send");
    browser.expect("#log", "Received: Hello, world!");
    browser.fill("#message", "grüße 👋\u{e007}");
    let log = browser.expect("#log", "Received: grüße 👋");
    assert_eq!(log.matches("echo behind words").count(), 2, "{log}");
    browser.expect("#trips-figures", "round trips\n2");
    browser.click("#connection");
    browser.expect("#log", "1000: normal closure");
    browser.expect("#status", "Not connected");
    assert_eq!(browser.run("return document.getElementById('send').disabled"), true);
    browser.click("#connection");
    browser.expect("#status", "Connected to ");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_echoes_every_message_kind_byte_for_byte() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/echo&kind=json&message=[1,{\"a\":2}]", DESKTOP);
    browser.click("#more summary");
    browser.click("#tidy");
    assert_eq!(
        browser.run("return document.getElementById('message').value"),
        "[\n  1,\n  {\n    \"a\": 2\n  }\n]"
    );
    browser.click("#send");
    browser.expect("#log", "same bytes");
    browser.fill("#message", "{");
    browser.expect("#message-problem", "JSON");
    browser.choose("#kind", "bytes in hex");
    browser.fill("#message", "00 ff 7");
    browser.expect("#message-problem", "pairs of the digits");
    browser.fill("#message", "00 ff 7f");
    browser.click("#send");
    let log = browser.wait_for("#log", "an echo", |log| log.contains("received binary"));
    assert!(log.contains("00 ff 7f") && log.matches("same bytes").count() == 2, "{log}");
    browser.click("#save");
    browser.choose("#kind", "a file");
    let file = std::env::temp_dir().join(format!("ws-echo-upload-{}", std::process::id()));
    fs::write(&file, vec![0xab; 100_000]).unwrap();
    browser.choose("#file", file.to_str().unwrap());
    browser.click("#send");
    let log = browser.wait_for("#log", "an echo of the file", |log| log.matches("98 KiB").count() == 2);
    assert_eq!(log.matches("same bytes").count(), 3, "{log}");
    browser.click("#pause");
    browser.click("#send");
    browser.expect("#log-count", ", paused");
    browser.click("#pause");
    browser.wait_for("#log", "messages of the pause", |log| log.matches("same bytes").count() == 4);
    fs::remove_file(file).unwrap();
    browser.go(&format!("http://{}/", server.address));
    browser.expect("#status", "Connected to ");
    browser.click("#more summary");
    browser.choose("#saved", "hex: 00 ff 7f");
    assert_eq!(browser.run("return document.getElementById('message').value"), "00 ff 7f");
    assert!(browser.run("return location.hash").as_str().unwrap().contains("kind=hex"), "in the address");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_burst_is_complete_and_the_log_stays_short() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/echo", DESKTOP);
    browser.click("#more summary");
    browser.fill("#burst-count", "10000");
    browser.run(
        "window.longest = 0; let last = performance.now(); \
         const tick = () => { const now = performance.now(); window.longest = Math.max(window.longest, now - last); \
         last = now; requestAnimationFrame(tick); }; requestAnimationFrame(tick);",
    );
    browser.click("#burst");
    let result = browser.expect("#burst-result", "came back byte for byte");
    assert!(result.starts_with("10,000 sent, 10,000 came back"), "{result}");
    let rows = browser.run("return document.getElementById('log').childElementCount").as_u64().unwrap();
    assert!((1..=200).contains(&rows), "{rows} rows");
    browser.expect("#log-count", "20,001");
    let longest = browser.run("return window.longest").as_f64().unwrap();
    println!("burst: {result}; longest frame {longest:.0} ms");
    assert!(longest < 3000.0, "a frame took {longest} ms");
    browser.click("#repeat");
    browser.fill("#filter", "hello");
    browser.wait_for("#log", "matching lines only", |log| {
        log.contains("Hello, world!") && !log.contains("10000 ")
    });
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_stays_responsive_during_a_flood_from_the_server() {
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    browser.run(
        "window.frames_seen = []; const tick = (now) => { frames_seen.push(now); requestAnimationFrame(tick); }; \
         requestAnimationFrame(tick); const url = document.getElementById('url'); \
         url.value = '/source?size=100&count=20000'; document.getElementById('open').click();",
    );
    let log = browser.expect("#log", "1000: normal closure");
    let summary =
        log.lines().find(|line| line.contains("\"messages\":20000")).unwrap_or_else(|| panic!("{log}"));
    browser.expect("#log-count", "20,0");
    let frames = browser.run(
        "let longest = 0; frames_seen.forEach((at, i) => { longest = Math.max(longest, at - (frames_seen[i - 1] ?? at)); }); \
         return [frames_seen.length, frames_seen.at(-1) - frames_seen[0], longest].map(Math.round);",
    );
    println!("flood: {summary}; frames, ms, longest: {frames}");
    assert!(frames[2].as_u64().unwrap() < 3000, "a frame took {frames}");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_has_a_button_for_each_endpoint_and_explains_each_fault() {
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    browser.wait_for("#endpoints", "all endpoints", |text| text.ends_with("totals"));
    let press = |path: &str| {
        let script = format!(
            "const button = [...document.querySelectorAll('#endpoints button')].find((b) => b.dataset.path === '{path}'); \
             document.getElementById('clear').click(); button.click();"
        );
        browser.run(&script);
    };
    for (path, sends, words) in [
        ("/echo", 1, "same bytes"),
        ("/delay", 1, "same bytes"),
        ("/close", 3, "4001: a code of the application's own “bye”"),
        ("/drop", 1, "1006: abnormal closure"),
        ("/silent", 1, "sent text"),
        ("/fragment", 1, "same bytes"),
        ("/push", 0, "\"n\":2"),
        ("/broadcast", 1, "same bytes"),
        ("/source", 0, "\"messages\":100"),
        ("/sink", 100, "\"messages\":100"),
        ("/throttle", 1, "same bytes"),
        ("/invalid", 0, "1006: abnormal closure"),
        ("/status/CODE", 0, "1006: abnormal closure"),
        ("/info", 0, "\"path\":\"/info\""),
        ("/stats", 0, "\"open\":"),
        ("/", 1, "Received: Hello, world!"),
    ] {
        press(path);
        if sends > 0 {
            browser.expect("#log", "onopen");
            browser.run(&format!(
                "for (let i = 0; i < {sends}; i += 1) document.getElementById('send').click()"
            ));
        }
        browser.wait_for("#log", &format!("{words} on {path}"), |log| log.contains(words));
    }
    browser.finish(&[FAILED]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_explains_a_shutdown_and_reconnects() {
    let listener = listen("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let start = |listener| {
        let stop = ShutdownSignal::new();
        let seen = stop.clone();
        let thread = std::thread::spawn(move || Server::new(listener, config()).run(&seen).unwrap());
        (stop, thread)
    };
    let (stop, thread) = start(listener);
    let browser = Browser::open(&format!("http://{address}/#reconnect=1"), DESKTOP);
    browser.expect("#status", "Connected to ");
    stop.request();
    let summary = thread.join().unwrap();
    assert_eq!(summary.totals.closed.get(&("server", 1001)), Some(&1), "{summary}");
    browser.expect("#log", "1001: going away: the server is shutting down");
    browser.expect("#log", "“server shutting down”");
    browser.expect("#status", "try 2 in");
    let (stop, thread) = start(listen(&address.to_string()).unwrap());
    browser.expect("#status", "Connected to ");
    browser.click("#send");
    browser.expect("#log", "Received: Hello, world!");
    browser.finish(&[FAILED]);
    stop.request();
    thread.join().unwrap();
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_fits_a_phone_and_has_large_controls() {
    let server = TestServer::with(Config { connections: 4, ..config() });
    let browser = open(&server, "#url=/delay?ms=20%26jitter=10&watch=1", PHONE);
    for n in 1..=20 {
        browser.click("#send");
        browser.wait_for("#log", "an echo", |log| log.matches("same bytes").count() == n);
    }
    for (size, scheme) in [(PHONE, "light"), (PHONE, "dark"), (DESKTOP, "light"), (DESKTOP, "dark")] {
        browser.resize(size);
        browser.prefer(scheme);
        browser.expect("#server-figures", "open");
        browser.expect("#endpoints", "/stats");
        browser.run("document.getElementById('more').open = true");
        let overflow =
            browser.run("return document.documentElement.scrollWidth - innerWidth").as_i64().unwrap();
        assert!(overflow <= 0, "{overflow} pixels too wide");
        let small = browser.run(
            "return [...document.querySelectorAll('button, input:not([type=checkbox]), select, textarea')] \
             .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 36).map((e) => e.id || e.textContent)",
        );
        assert_eq!(small.as_array().unwrap().len(), 0, "too small: {small}");
        let unnamed = browser.run(
            "return [...document.querySelectorAll('input, select, textarea')] \
             .filter((e) => !e.labels.length && !e.getAttribute('aria-label')).map((e) => e.id)",
        );
        assert_eq!(unnamed.as_array().unwrap().len(), 0, "without a label: {unnamed}");
        browser.picture(&format!("{}-{scheme}", if size == PHONE { "phone" } else { "desktop" }));
    }
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn dev_cert_certificate_is_accepted_only_when_trusted() {
    let scratch = std::env::temp_dir().join(format!("ws-echo-trust-{}", std::process::id()));
    let (server, certificate) = serve_dev_cert(&scratch);
    let home = scratch.join("home");
    fs::create_dir_all(&home).unwrap();
    let site = format!("localhost:{}/", server.address.port());
    let page = format!("https://{site}");

    let browser = Browser::open_at_home(&home, &page, DESKTOP);
    browser.expect("body", "ERR_CERT_AUTHORITY_INVALID");
    drop(browser);

    // The commands in the help of the script are run as they are.
    let help = dev_cert(&["--help".as_ref()]);
    let advice: Vec<_> = help.lines().filter(|line| line.contains("nssdb")).collect();
    assert!(advice.iter().any(|line| line.trim_start().starts_with("certutil ")), "{help}");
    let advice = advice.join("\n").replace("DIR/cert.pem", certificate.to_str().unwrap());
    let result = Command::new("sh").args(["-e", "-c", &advice]).env("HOME", &home).output().unwrap();
    assert!(result.status.success(), "{advice}: {result:?}");

    let browser = Browser::open_at_home(&home, &page, DESKTOP);
    browser.expect("#status", &format!("Connected to wss://{site}"));
    browser.click("#send");
    browser.expect("#log", "Received: Hello, world!");
    browser.finish(&[]);
    // Processes of the browser may still write there.
    let _ = fs::remove_dir_all(scratch);
}
