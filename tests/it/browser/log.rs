//! The log: reading back, filter, pause, export, details.

use serde_json::Value as Json;

use super::{DESKTOP, choose_events, choose_kind, connect_to, expect, open, open_last_row, press, type_into};
use crate::harness::TestServer;
use crate::webdriver::Browser;

/// Presses a button that saves a file, and returns the content of the file.
fn exported(browser: &Browser, button: &str) -> String {
    browser.run(&format!(
        "window.saved = null; const create = URL.createObjectURL; \
         URL.createObjectURL = (blob) => {{ blob.text().then((text) => {{ window.saved = text; }}); return create(blob); }}; \
         HTMLAnchorElement.prototype.click = () => {{}}; \
         document.getElementById('{button}').click(); URL.createObjectURL = create;"
    ));
    let deadline = std::time::Instant::now() + crate::harness::TEST_TIMEOUT;
    loop {
        if let Json::String(text) = browser.run("return window.saved") {
            return text;
        }
        assert!(std::time::Instant::now() < deadline, "{button} saves nothing");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_rows_stay_in_place_while_one_reads_back() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/echo&message={{n}}&count=400&size=0", DESKTOP);
    press(&browser, "#burst");
    browser.expect("#run-result", "a second");
    browser.expect("#log-count", "400 received");
    browser.run(
        "const log = document.querySelector('.scroller'); log.scrollTop = 6000; log.dispatchEvent(new Event('scroll'))",
    );
    let first = "const top = document.querySelector('.scroller').getBoundingClientRect().top; \
                 const row = [...document.querySelectorAll('.entry')].map((e) => [e.getBoundingClientRect().top - top, e.textContent]) \
                 .sort((a, b) => a[0] - b[0]).find(([y]) => y >= 0); return row[0].toFixed(1) + row[1];";
    let before = browser.run(first);
    press(&browser, "#burst");
    browser.expect("#run-result", "a second");
    browser.expect("#log-count", "800 received");
    browser.expect(".to-end", "800 new");
    assert_eq!(browser.run(first), before, "the rows have moved");
    // Also when the oldest rows are dropped, and when a row is open.
    browser.run("document.querySelector('.entry .line').click()");
    type_into(&browser, "#burst-count", "11000");
    press(&browser, "#burst");
    browser.expect("#log-count", "11,800 received");
    browser.expect("#log-count", "no longer kept");
    browser.click(".to-end");
    expect(&browser, "11000");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_filter_shows_what_matches_or_says_that_nothing_does() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/echo", DESKTOP);
    browser.expect("#panes", "connected");
    browser.click("#send");
    type_into(&browser, "#message", "another one");
    browser.click("#send");
    browser.expect("#log-count", "2 identical");
    browser.fill("#filter", "ANOTHER");
    browser.wait_for("#panes", "two rows", |log| {
        log.matches("another one").count() == 2 && !log.contains("Hello")
    });
    browser.fill("#filter", "nothing like it");
    browser.expect("#panes", "No event matches the filter.");
    browser.click(".empty button");
    browser.wait_for("#panes", "all rows", |log| log.contains("Hello") && log.contains("connected"));
    choose_events(&browser, "differs");
    browser.expect("#panes", "No event matches the filter.");
    choose_events(&browser, "");
    browser.click("#pause");
    type_into(&browser, "#message", "while paused");
    browser.click("#send");
    let log = browser.expect("#log-count", "3 received · 3 identical · paused");
    assert!(!browser.text("#panes").contains("while paused"), "{log}");
    browser.click("#pause");
    expect(&browser, "while paused");
    browser.click("#clear");
    browser.expect("#panes", "No messages yet");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_exports_whole_payloads() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/echo", DESKTOP);
    let long = "=long \"text\", ".repeat(500);
    type_into(&browser, "#message", &long);
    browser.click("#send");
    browser.expect("#log-count", "1 identical");
    choose_kind(&browser, "hex");
    type_into(&browser, "#message", "00 ff 7f");
    browser.click("#send");
    browser.expect("#log-count", "2 identical");
    type_into(&browser, "#close-reason", "over");
    press(&browser, "#connect");
    expect(&browser, "closed: 1000");
    let lines: Vec<Json> =
        exported(&browser, "export-jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let url = format!("ws://{}/echo", server.address);
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["connected", "sent", "received", "sent", "received", "closed"]);
    assert!(lines.iter().all(|line| line["url"] == url), "{lines:?}");
    assert_eq!((&lines[2]["text"], &lines[2]["verdict"]), (&long.as_str().into(), &"identical".into()));
    assert_eq!((&lines[4]["base64"], &lines[4]["size"]), (&"AP9/".into(), &3.into()));
    assert_eq!((&lines[5]["code"], &lines[5]["reason"]), (&1000.into(), &"over".into()));
    let table = exported(&browser, "export-csv");
    assert!(table.starts_with(
        "time,connection,event,url,type,size,round_trip_ms,verdict,code,reason,text,base64\r\n"
    ));
    // A text that a spreadsheet would take for a formula has an apostrophe in front.
    assert!(table.contains(&format!("\"'{}\"", long.replace('"', "\"\""))), "{table}");
    assert!(table.contains(",AP9/\r\n"), "{table}");
    let archive: Json = serde_json::from_str(&exported(&browser, "export-har")).unwrap();
    let entry = &archive["log"]["entries"][0];
    assert_eq!((&archive["log"]["version"], &entry["_closeReason"]), (&"1.2".into(), &"over".into()));
    let messages = entry["_webSocketMessages"].as_array().unwrap();
    assert_eq!(messages.len(), 4);
    assert_eq!((&messages[0]["type"], &messages[0]["data"]), (&"send".into(), &long.as_str().into()));
    assert_eq!((&messages[3]["opcode"], &messages[3]["data"]), (&2.into(), &"AP9/".into()));
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_rows_open_by_keyboard_and_offer_their_message() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/", DESKTOP);
    type_into(&browser, "#message", "{\"deep\":{\"list\":[1,2,3]},\"n\":1.50}");
    browser.click("#send");
    browser.expect("#log-count", "1 echoed with prefix");
    let detail = open_last_row(&browser);
    assert!(detail.contains("\"n\": 1.50") && detail.contains("echoed with prefix"), "{detail}");
    let press_view = |name: &str| {
        browser.run(&format!(
            "[...document.querySelectorAll('.views button, .actions button')].find((b) => b.textContent === '{name}').click()"
        ));
    };
    press_view("Hex");
    browser.expect(".detail", "00000000  52 65 63 65 69 76 65 64 3a 20");
    press_view("Base64");
    browser.expect(".detail", "UmVjZWl2ZWQ6I");
    press_view("Send again");
    browser.expect("#log-count", "2 sent");
    press_view("Edit");
    assert_eq!(
        browser.run("return document.getElementById('message').value"),
        "Received: {\"deep\":{\"list\":[1,2,3]},\"n\":1.50}"
    );
    press_view("Save message");
    browser.expect("#saved", "Received: {");
    // ↑ and ↓ move from row to row, Enter opens and closes.
    browser.run("document.getElementById('saved-menu').open = false; document.querySelector('.line[tabindex=\"0\"]').focus()");
    browser.press("\u{e011}\u{e007}");
    browser.expect(".entry:first-child .detail", "connected: ws://");
    assert_eq!(browser.run("return document.activeElement.getAttribute('aria-expanded')"), "true");
    browser.press("\u{e007}\u{e015}");
    assert!(browser.run("return document.activeElement.textContent").as_str().unwrap().contains("sent"));
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_stays_responsive_during_a_flood_from_the_server() {
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    browser.run(
        "window.frames_seen = []; const tick = (now) => { frames_seen.push(now); requestAnimationFrame(tick); }; \
         requestAnimationFrame(tick);",
    );
    connect_to(&browser, "/source?size=100&count=20000");
    choose_events(&browser, "note");
    expect(&browser, "closed: 1000");
    browser.expect("#log-count", "20,001 received");
    let frames = browser.run(
        "let longest = 0; frames_seen.forEach((at, i) => { longest = Math.max(longest, at - (frames_seen[i - 1] ?? at)); }); \
         return [frames_seen.length, frames_seen.at(-1) - frames_seen[0], longest].map(Math.round);",
    );
    println!("flood: frames, ms, longest: {frames}");
    assert!(frames[2].as_u64().unwrap() < 1000, "a frame took {frames}");
    browser.finish(&[]);
}
