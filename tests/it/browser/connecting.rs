//! Where the page connects, and what it says when it cannot.

use std::io::ErrorKind;
use std::net::TcpListener;

use super::{
    DESKTOP, EXPLAINED, FAILED, PHONE, choose_events, choose_kind, connect_to, expect, open, press, type_into,
};
use crate::harness::{TestServer, config};
use crate::webdriver::Browser;
use ws_echo::endpoints::echo::echo;
use ws_echo::{Config, Routes};

/// The key that moves the focus to the next element, and Enter.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// A listener that must see no connection.
fn unused_host() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    (listener, url)
}

fn assert_unused(listener: &TcpListener) {
    let error = listener.accept().map(|(_, peer)| peer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "the page connected");
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_skip_link_keeps_the_message_and_the_connection() {
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    type_into(&browser, "#message", "not lost");
    browser.press(TAB);
    assert_eq!(browser.run("return document.activeElement.className"), "skip");
    browser.press(ENTER);
    assert_eq!(browser.run("return document.activeElement.id"), "message");
    assert_ne!(browser.run("return location.hash"), "#message", "the link replaces the settings");
    browser.run("location.hash = '#message'");
    browser.click("#send");
    let log = expect(&browser, "Received: not lost");
    assert_eq!(log.matches("connected: ").count(), 1, "{log}");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_link_connects_to_no_other_host_unasked() {
    let server = TestServer::start();
    let (listener, url) = unused_host();
    let browser =
        Browser::open(&format!("http://{}/#url={url}&stats=1&message=here", server.address), DESKTOP);
    browser.expect("#endpoints", "/stats");
    browser.expect("#status", "Not connected");
    assert_eq!(browser.run("return document.getElementById('url').value"), url);
    // Also not when the fragment changes while the page is open; one of the own server connects.
    browser.run("location.hash = '#url=/echo&message=there'");
    browser.expect("#status", "Connected");
    browser.run(&format!("location.hash = '#url={url}'"));
    browser.wait_for("#connect", "the button for the other host", |text| text == "Connect");
    browser.click("#send");
    expect(&browser, "Hello, world!");
    assert_unused(&listener);
    let events = browser.text("#panes");
    assert!(!events.contains(&url), "{events}");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_takes_only_a_leading_slash_for_a_path() {
    let (server, other) = (TestServer::start(), TestServer::start());
    let browser = open(&server, "", DESKTOP);
    connect_to(&browser, &format!("{}/echo", other.address));
    expect(&browser, &format!("connected: ws://{}/echo", other.address));
    assert_eq!(
        browser.run("return document.getElementById('url').value"),
        format!("ws://{}/echo", other.address)
    );
    connect_to(&browser, "//echo");
    expect(&browser, &format!("connected: ws://{}//echo", server.address));
    connect_to(&browser, "no-such-host.invalid/ws");
    expect(&browser, "Connection failed: browsers hide the reason; likely a certificate");
    assert_eq!(browser.run("return document.getElementById('url').value"), "wss://no-such-host.invalid/ws");
    for (text, sentence) in [
        ("ftp://example.org/", "ftp: is not a scheme of WebSockets"),
        ("mailto:someone", "mailto:someone is not a URL. Write a path of this server, as /echo, or a URL"),
        ("?room=a", "?room=a is not a URL"),
        ("two words", "two words is not a URL"),
        ("ws://", "ws:// is not a URL"),
    ] {
        connect_to(&browser, text);
        browser.expect("#connection-problem", sentence);
    }
    browser.finish(&[FAILED]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_says_why_a_handshake_failed() {
    let server = TestServer::with(Config { disabled: vec!["/push".to_owned()], ..config() });
    let (listener, url) = unused_host();
    drop(listener);
    let browser = open(&server, "", DESKTOP);
    for (target, words) in [
        ("/delay?ms=soon", "the server answered 400 Bad Request: ms takes a time from 0ms to 1h"),
        ("/delay?ms=1&jitter=2", "400 Bad Request: jitter may be at most ms"),
        ("/status/404", "the server answered 404 Not Found: 404, as requested by the path"),
        ("/status/302?location=/echo", "a redirect, which browsers do not follow for WebSockets"),
        ("/push", "the server answered 404 Not Found: this endpoint is disabled on this server"),
        ("ws://127.0.0.1:6000/", "likely the port: browsers do not connect to port 6000"),
        (&url, "browsers hide the reason; likely no WebSocket server at 127.0.0.1:"),
    ] {
        press(&browser, "#clear");
        connect_to(&browser, target);
        let log = expect(&browser, words);
        assert!(log.contains("Connection failed: "), "{log}");
        browser.expect("#status", "Connection failed");
    }
    press(&browser, "#clear");
    type_into(&browser, "#protocols", "chat.v1 chat.v2");
    connect_to(&browser, "/echo");
    expect(&browser, "likely the subprotocols: the server has to choose one of chat.v1, chat.v2");
    type_into(&browser, "#protocols", "a,a");
    connect_to(&browser, "/echo");
    expect(&browser, "not connected: ");
    browser.finish(&[FAILED, EXPLAINED]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_shows_the_end_of_a_replaced_connection_and_unanswered_messages() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/silent", DESKTOP);
    browser.click("#send");
    browser.click("#send");
    browser.expect("#log-count", "2 sent");
    connect_to(&browser, "/echo");
    expect(&browser, "closed: 1000 normal closure, replaced by a new connection");
    browser.expect("#log-count", "2 without reply");
    choose_events(&browser, "unanswered");
    browser.wait_for("#panes", "both messages", |text| text.matches("no reply").count() == 2);
    choose_events(&browser, "");
    // Enter in the field connects anew; the button disconnects, with the code and the reason of the form.
    browser.run("document.getElementById('url').focus()");
    browser.press(ENTER);
    browser.wait_for("#panes", "another connection", |text| text.matches("replaced by a new").count() == 2);
    browser.expect("#status", "Connected");
    browser.run("document.getElementById('connect').focus()");
    type_into(&browser, "#close-code", "4007");
    type_into(&browser, "#close-reason", "enough");
    press(&browser, "#connect");
    expect(&browser, "closed: 4007 a code of the application “enough”");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_link_has_the_whole_set_up_or_says_what_it_leaves_out() {
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    choose_kind(&browser, "base64");
    for (field, value) in [
        ("#message", "AP9/"),
        ("#close-code", "4001"),
        ("#close-reason", "done"),
        ("#every", "250"),
        ("#burst-count", "77"),
        ("#burst-size", "9"),
    ] {
        type_into(&browser, field, value);
    }
    browser.click("#options summary");
    browser.click("#share");
    let link = browser.run("return location.href").as_str().unwrap().to_owned();
    browser.go("about:blank");
    browser.go(&link);
    browser.expect("#status", "Connected");
    let values = browser.run(
        "return ['message', 'close-code', 'close-reason', 'every', 'burst-count', 'burst-size'].map((id) => document.getElementById(id).value).join()",
    );
    assert_eq!(values, "AP9/,4001,done,250,77,9");
    browser.click("#send");
    expect(&browser, "00 ff 7f");
    choose_kind(&browser, "text");
    type_into(&browser, "#message", &"long ".repeat(2000));
    browser.click("#options summary");
    browser.click("#share");
    browser.expect("#share-problem", "The link leaves out the message");
    // A few hundred changes are not too many for the browser.
    browser.run(
        "const field = document.getElementById('message'); for (let i = 0; i < 500; i += 1) { field.value = `no ${i}`; \
         field.dispatchEvent(new Event('input')); }",
    );
    browser.wait_for_script("return location.href.includes('no+499')");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_loads_with_one_worker_and_says_what_did_not_load() {
    let server = TestServer::with(Config { workers: 1, connections: 4, ..config() });
    let browser = open(&server, "", DESKTOP);
    browser.expect("#endpoints", "/stats");
    browser.click("#send");
    expect(&browser, "Received: Hello, world!");
    let requests = browser.run(
        "return performance.getEntriesByType('resource').filter((e) => e.initiatorType !== 'fetch').length",
    );
    assert!(requests.as_u64().unwrap() <= 2, "{requests} requests beside the document");
    browser.block("*/endpoints");
    browser.go("about:blank");
    browser.go(&format!("http://{}/", server.address));
    browser.expect("#endpoints-state", "could not be loaded");
    browser.block("");
    browser.click("#endpoints-state button");
    browser.expect("#endpoints", "/stats");
    browser.finish(&[EXPLAINED, FAILED]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_shows_statistics_only_of_servers_that_have_them() {
    let routes = Routes::standard().with("/stats", || echo);
    let other = TestServer::with_routes(config(), routes);
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    browser.click("#tab-figures");
    browser.expect("#figures", "No round trip yet");
    browser.click("#watch");
    browser.expect("#server-figures", "running for");
    browser.click("#watch");
    connect_to(&browser, &format!("ws://{}/echo", other.address));
    expect(&browser, &format!("connected: ws://{}/echo", other.address));
    browser.click("#watch");
    browser.expect("#watch-state", &format!("No statistics from ws://{}/stats", other.address));
    assert_eq!(browser.text("#watch"), "Show");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_shows_the_version_and_the_name_of_the_instance() {
    let server = TestServer::with(Config { name: "node-7".to_owned(), ..config() });
    let shown = format!("{} on node-7", env!("CARGO_PKG_VERSION"));
    // Known from X-Served-By of a response.
    let browser = open(&server, "#url=/info", DESKTOP);
    browser.expect("#version", &shown);
    // Known from the message of /info: a proxy may connect each connection to another instance.
    browser.run("document.getElementById('version').textContent = ''");
    connect_to(&browser, &format!("ws://{}/info?again", server.address));
    browser.expect("#version", &shown);
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_keyboard_focus_is_always_visible() {
    let server = TestServer::start();
    for size in [DESKTOP, PHONE, (640, 450)] {
        let browser = open(&server, "", size);
        browser.expect("#status", "Connected");
        browser.run("document.getElementById('send').click()");
        browser.expect("#log-count", "1 received");
        let mut seen = Vec::new();
        for _ in 0..60 {
            browser.press(TAB);
            let found = browser.run(
                "const e = document.activeElement; if (e === document.body) return null; \
                 const box = (e.closest('label') ?? e).getBoundingClientRect(); \
                 const x = (Math.max(0, box.left) + Math.min(innerWidth, box.right)) / 2; \
                 const y = (Math.max(0, box.top) + Math.min(innerHeight, box.bottom)) / 2; \
                 const top = document.elementFromPoint(x, y); \
                 const shown = top && (e.contains(top) || top.contains(e) || top.closest('label')?.contains(e)); \
                 return [e.id || e.className || e.textContent, Boolean(shown), getComputedStyle(e).outlineStyle]",
            );
            if found.is_null() {
                break;
            }
            assert!(found[1] == true, "{size:?}: {found} is covered, after {seen:?}");
            assert_ne!(found[2], "none", "{size:?}: {found} does not show the focus");
            seen.push(found[0].as_str().unwrap().to_owned());
        }
        for id in ["url", "connect", "filter", "message", "send"] {
            assert!(seen.iter().any(|name| name == id), "{size:?}: {id} is not in {seen:?}");
        }
        browser.finish(&[]);
    }
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_opens_two_connections_side_by_side() {
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    browser.expect("#endpoints", "Connect twice");
    browser.click("[data-path=\"/broadcast\"] .twice");
    browser.wait_for(".pane:nth-child(1)", "the room", |text| text.contains("/broadcast"));
    browser.wait_for(".pane:nth-child(2)", "the second connection", |text| text.contains("connected: ws://"));
    browser.click("#send");
    for pane in 1..=2 {
        browser.expect(&format!(".pane:nth-child({pane}) .rows"), "Hello, world!");
    }
    press(&browser, "#slots input[value=B]");
    type_into(&browser, "#message", "from the second");
    browser.click("#send");
    browser.expect(".pane:nth-child(1) .rows", "from the second");
    browser.picture("two-connections");
    let edges = browser.run(
        "return [...document.querySelectorAll('.pane')].map((e) => Math.round(e.getBoundingClientRect().left))",
    );
    assert!(edges[1].as_u64() > edges[0].as_u64(), "beside each other: {edges}");
    press(&browser, "#second");
    browser.wait_for("#panes", "one pane", |text| !text.contains("Close"));
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_endpoint_fields_have_the_types_of_the_table() {
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    browser.expect("#endpoints", "/stats");
    let field = |path: &str, name: &str| format!("[data-path=\"{path}\"] [name={name}]");
    let describe = |path: &str, name: &str| {
        browser.run(&format!(
            "const e = document.querySelector('{}'); return [e.type, e.min ?? '', e.max ?? '', e.maxLength ?? '', e.placeholder ?? ''].join(' ')",
            field(path, name)
        ))
    };
    assert_eq!(describe("/delay", "ms"), "number 0 3600000 -1 250");
    assert_eq!(describe("/close", "code"), "number 0 65535 -1 1000");
    assert_eq!(describe("/fragment", "ping"), "checkbox   -1 ");
    assert_eq!(describe("/drop", "how"), "select-one    ");
    assert_eq!(describe("/broadcast", "room"), "text   64 lobby");
    assert_eq!(describe("/source", "size"), "text   -1 64KiB");
    let groups = browser
        .run("return [...document.querySelectorAll('#endpoints h3')].map((e) => e.textContent).join()");
    assert_eq!(groups, "Echo,Timing,Closing,Faults,Throughput,Information");
    browser.click("[data-path=\"/fragment\"] summary");
    browser.picture("endpoints");
    browser.fill(&field("/fragment", "size"), "7");
    browser.click(&field("/fragment", "ping"));
    browser.expect("[data-path=\"/fragment\"] .target", "/fragment?size=7");
    browser.click("[data-path=\"/fragment\"] .endpoint-head button");
    expect(&browser, "/fragment?size=7, ");
    // The browser checks the range before it connects.
    browser.fill(&field("/fragment", "size"), "x");
    browser.click("[data-path=\"/fragment\"] .endpoint-head button");
    assert_eq!(browser.run("return document.querySelectorAll(':invalid:not(form, fieldset)').length"), 1);
    browser.finish(&[]);
}
