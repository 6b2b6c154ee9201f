//! What a first visit shows: sending, endpoints, burst, flood, reconnecting, a trusted certificate.

use std::fs;
use std::process::Command;

use super::{
    DESKTOP, EXPLAINED, FAILED, PHONE, choose_events, choose_kind, connect_to, expect, open, open_last_row,
    press, type_into,
};
use crate::certificate::{dev_cert, serve_dev_cert};
use crate::harness::{TestServer, config};
use crate::webdriver::Browser;
use ws_echo::{Config, Server, ShutdownSignal, listen};

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_sends_and_receives_with_mouse_and_keyboard() {
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    expect(&browser, "connected: ws://");
    browser.expect("#endpoints", "/stats");
    browser.picture("first-visit");
    assert_eq!(browser.run("return document.activeElement === document.body"), true, "nothing has the focus");
    browser.click("#send");
    expect(&browser, "Received: Hello, world!");
    browser.fill("#message", "grüße 👋\u{e007}");
    expect(&browser, "Received: grüße 👋");
    browser.expect("#log-count", "2 sent · 2 received · 2 echoed with prefix");
    assert!(browser.run("return document.title").as_str().unwrap().starts_with("● Connected"));
    browser.click("#tab-figures");
    browser.expect("#trips-figures", "round trips\n2");
    browser.click("#connect");
    expect(&browser, "closed: 1000 normal closure");
    browser.expect("#status", "Not connected");
    // Enter connects first, then sends.
    browser.fill("#message", "once more\u{e007}");
    expect(&browser, "Received: once more");
    browser.expect("#status", "Connected");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_burst_sends_the_message_and_is_complete() {
    let server = TestServer::with(Config { reply_prefix: "you said: ".to_owned(), ..config() });
    let browser = open(&server, "#url=/echo&kind=hex&message=00+ff+7f&count=12000&size=64", DESKTOP);
    press(&browser, "#burst");
    let result = browser.expect("#run-result", "a second");
    assert!(result.starts_with("12,000 sent · 12,000 identical · "), "{result}");
    let rows = browser.run("return document.querySelectorAll('.entry').length").as_u64().unwrap();
    assert!((1..=200).contains(&rows), "{rows} rows");
    browser.expect("#log-count", "12,000 sent · 12,000 received · 12,000 identical · the oldest");
    let detail = open_last_row(&browser);
    assert!(
        detail.contains("received binary · 64 bytes") && detail.contains("00 ff 7f 00 ff 7f"),
        "{detail}"
    );
    // The event of the connection stays, and the text of a prefix is learned.
    choose_events(&browser, "note");
    expect(&browser, "connected: ws://");
    choose_events(&browser, "");
    connect_to(&browser, "/");
    expect(&browser, "replaced by a new connection");
    choose_kind(&browser, "text");
    type_into(&browser, "#message", "message {{n}} of {{uuid}}");
    type_into(&browser, "#burst-count", "500");
    type_into(&browser, "#burst-size", "0");
    press(&browser, "#burst");
    let result = browser.expect("#run-result", "a second");
    assert!(result.starts_with("500 sent · 500 echoed with prefix · "), "{result}");
    expect(&browser, "you said: message 500 of ");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_has_each_endpoint_and_explains_each_fault() {
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    browser.wait_for("#endpoints", "all endpoints", |text| text.contains("/stats"));
    for (path, sends, words) in [
        ("/echo", 1, "Hello, world!"),
        ("/delay", 1, "Hello, world!"),
        ("/close", 3, "closed: 4001 a code of the application “bye”"),
        ("/drop", 1, "closed: 1006 abnormal: no Close frame"),
        ("/silent", 1, "Hello, world!"),
        ("/fragment", 1, "Hello, world!"),
        ("/push", 0, "\"n\":2"),
        ("/broadcast", 1, "Hello, world!"),
        ("/source", 0, "\"messages\":100"),
        ("/sink", 100, "\"messages\":100"),
        ("/throttle", 1, "Hello, world!"),
        ("/invalid", 0, "closed: 1006 abnormal: no Close frame"),
        ("/status/CODE", 0, "the server answered 503 Service Unavailable: 503, as requested by the path"),
        ("/info", 0, "{\"extensions\":"),
        ("/stats", 0, "\"open\":"),
        ("/", 1, "Received: Hello, world!"),
    ] {
        press(&browser, "#clear");
        press(&browser, &format!("[data-path=\"{path}\"] .endpoint-head button"));
        if sends > 0 {
            expect(&browser, &format!("connected: ws://{}{}", server.address, path));
            press(&browser, "#clear");
            browser.run(&format!(
                "for (let i = 0; i < {sends}; i += 1) document.getElementById('send').click()"
            ));
        }
        expect(&browser, words);
        if path == "/status/CODE" {
            browser.picture("failure");
        } else if !["/close", "/drop", "/invalid", "/source"].contains(&path) {
            let used =
                browser.run("return document.querySelector('.endpoint[aria-current]')?.dataset.path ?? ''");
            assert_eq!(used, path, "is marked as in use");
        }
    }
    browser.finish(&[FAILED, EXPLAINED]);
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
    let browser = Browser::open(&format!("http://{address}/#reconnect=1&stats=1"), DESKTOP);
    browser.expect("#status", "Connected");
    browser.click("#tab-figures");
    browser.expect("#server-figures", "open sessions");
    stop.request();
    let summary = thread.join().unwrap();
    assert_eq!(summary.totals.closed.get(&("server", 1001)), Some(&2), "{summary}");
    expect(
        &browser,
        "closed: 1001 going away: the server is shutting down, or the page was left “server shutting down”",
    );
    expect(&browser, "the server does not answer");
    let status = browser.expect("#status", "(attempt 4)");
    assert!(status.starts_with("Reconnecting in ") && status.contains(" s ("), "{status}");
    let (stop, thread) = start(listen(&address.to_string()).unwrap());
    // Without waiting for the end of the countdown.
    press(&browser, "#retry");
    browser.expect("#status", "Connected");
    browser.click("#send");
    expect(&browser, "Received: Hello, world!");
    // The statistics come back on their own.
    browser.expect("#watch-state", "once a second");
    browser.finish(&[FAILED, EXPLAINED]);
    stop.request();
    thread.join().unwrap();
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_fits_every_width_and_has_large_controls() {
    let server = TestServer::with(Config { connections: 4, ..config() });
    let browser = open(&server, "#url=/delay?ms=20%26jitter=10&stats=1", PHONE);
    for n in 1..=5 {
        browser.click("#send");
        browser.expect("#log-count", &format!("{n} identical"));
    }
    for (size, scheme, name) in [
        ((320, 640), "light", "phone-320"),
        (PHONE, "light", "phone"),
        (PHONE, "dark", "phone-dark"),
        // A window of 1280 pixels at 200 %.
        ((640, 450), "light", "zoomed"),
        ((1024, 768), "light", "tablet"),
        (DESKTOP, "dark", "desktop-dark"),
        ((2560, 1300), "light", "wide"),
    ] {
        browser.resize(size);
        browser.prefer(scheme);
        for tab in ["endpoints", "figures", "code", "messages"] {
            press(&browser, &format!("#tab-{tab}"));
            let overflow =
                browser.run("return document.documentElement.scrollWidth - innerWidth").as_i64().unwrap();
            assert!(overflow <= 0, "{name}, {tab}: {overflow} pixels too wide");
            let small = browser.run(
                "return [...document.querySelectorAll('button:not(.line), input:not([type=checkbox], [type=radio]), select, textarea')] \
                 .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 36).map((e) => e.id || e.textContent)",
            );
            assert_eq!(small.as_array().unwrap().len(), 0, "{name}: too small: {small}");
            if size.0 < 960 {
                browser.picture(&format!("{name}-{tab}"));
            }
        }
        for menu in ["options", "export", "saved-menu", "repeat-menu"] {
            let outside = browser.run(&format!(
                "const menu = document.getElementById('{menu}'); menu.open = true; \
                 const box = menu.querySelector('.menu-panel').getBoundingClientRect(); menu.open = false; \
                 return [Math.min(0, box.left, box.top), Math.max(0, box.right - innerWidth, box.bottom - innerHeight)].map(Math.round)"
            ));
            assert_eq!(outside, serde_json::json!([0, 0]), "{name}: {menu} is outside of the window");
        }
        let height =
            browser.run("return document.documentElement.scrollHeight - innerHeight").as_i64().unwrap();
        assert!(height <= 0, "{name}: {height} pixels to scroll");
        browser.picture(name);
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
    expect(&browser, &format!("connected: wss://{site}"));
    browser.click("#send");
    expect(&browser, "Received: Hello, world!");
    // Mixed content: the browser refuses it at once.
    connect_to(&browser, "ws://no-such-host.invalid/");
    expect(&browser, "not connected: ");
    browser.expect("#status", "Connection failed");
    browser.finish(&["Mixed Content"]);
    // Processes of the browser may still write there.
    let _ = fs::remove_dir_all(scratch);
}
