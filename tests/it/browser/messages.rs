//! Messages: kinds, variables, history, saved messages, repetition, round trips.

use std::fs;

use super::{DESKTOP, choose_events, choose_kind, expect, open, open_last_row, press, type_into};
use crate::harness::{TestServer, config};
use tungstenite::Message;
use ws_echo::endpoints::echo::echo;
use ws_echo::{Routes, WebSocketSession};

/// The key ↑.
const UP: &str = "\u{e013}";

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_echoes_every_message_kind_byte_for_byte() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/echo&kind=json&message=[1,{\"a\":12345678901234567890123}]", DESKTOP);
    browser.click("#tidy");
    assert_eq!(
        browser.run("return document.getElementById('message').value"),
        "[\n  1,\n  {\n    \"a\": 12345678901234567890123\n  }\n]",
        "large numbers keep their digits"
    );
    browser.click("#send");
    browser.expect("#log-count", "1 identical");
    let detail = open_last_row(&browser);
    assert!(detail.contains("\"a\": 12345678901234567890123"), "{detail}");
    browser.picture("open-message");
    type_into(&browser, "#message", "{");
    browser.expect("#message-problem", "Not valid JSON");
    choose_kind(&browser, "hex");
    type_into(&browser, "#message", "00 ff 7");
    browser.expect("#message-problem", "pairs of the digits");
    type_into(&browser, "#message", "00 ff 7f");
    browser.click("#send");
    browser.expect("#log-count", "2 identical");
    choose_kind(&browser, "base64");
    type_into(&browser, "#message", "A");
    browser.expect("#message-problem", "Base64 takes");
    type_into(&browser, "#message", "3q2-7w==");
    browser.click("#send");
    browser.expect("#log-count", "3 identical");
    expect(&browser, "de ad be ef");
    choose_kind(&browser, "file");
    browser.click("#send");
    browser.expect("#message-problem", "Choose a file first");
    let file = std::env::temp_dir().join(format!("ws-echo-upload-{}", std::process::id()));
    fs::write(&file, vec![0xab; 100_000]).unwrap();
    browser.choose("#file", file.to_str().unwrap());
    browser.click("#send");
    browser.expect("#log-count", "4 identical");
    expect(&browser, "98 KiB");
    fs::remove_file(file).unwrap();
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_replaces_variables_and_brings_back_earlier_messages() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/echo", DESKTOP);
    type_into(&browser, "#message", "number {{n}} at {{now}} is {{uuid}}");
    browser.click("#send");
    browser.click("#send");
    let log = browser.wait_for("#panes", "two messages", |log| {
        log.contains("number 1 at 20") && log.contains("number 2 at 20")
    });
    let uuid = log.split(" is ").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(uuid.len() == 36 && uuid.as_bytes()[14] == b'4', "{uuid}");
    type_into(&browser, "#message", "second");
    browser.click("#send");
    type_into(&browser, "#message", "not sent yet");
    browser.click("#message");
    let value = || browser.run("return document.getElementById('message').value");
    browser.press(UP);
    assert_eq!(value(), "second");
    browser.press(UP);
    assert_eq!(value(), "number {{n}} at {{now}} is {{uuid}}");
    browser.press("\u{e015}\u{e015}");
    assert_eq!(value(), "not sent yet");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_shares_saved_messages_between_tabs_and_imports_them() {
    let server = TestServer::start();
    let page = format!("http://{}/", server.address);
    let browser = open(&server, "", DESKTOP);
    let save = |name: &str, text: &str| {
        type_into(&browser, "#message", text);
        type_into(&browser, "#saved-name", name);
        press(&browser, "#save");
    };
    let first = browser.open_tab(&page);
    browser.expect("#status", "Connected");
    let second = browser.open_tab(&page);
    browser.expect("#status", "Connected");
    save("from one tab", "one");
    browser.switch_to(&second);
    save("from another tab", "two");
    browser.switch_to(&first);
    browser.click("#saved-menu summary");
    browser.wait_for("#saved", "the messages of both tabs", |text| {
        text.contains("from one tab") && text.contains("from another tab")
    });
    browser.click("#saved li:nth-child(2) button");
    assert_eq!(browser.run("return document.getElementById('message').value"), "two");
    let file = std::env::temp_dir().join(format!("ws-echo-saved-{}.json", std::process::id()));
    fs::write(&file, r#"[{"name":"imported","kind":"hex","text":"0102"},{"kind":"no such kind","text":""}]"#)
        .unwrap();
    browser.run("document.getElementById('saved-file').hidden = false; document.getElementById('saved-menu').open = true");
    browser.choose("#saved-file", file.to_str().unwrap());
    browser.expect("#saved-result", "1 message imported");
    browser.expect("#saved", "imported");
    fs::write(&file, "no JSON").unwrap();
    browser.choose("#saved-file", file.to_str().unwrap());
    browser.expect("#saved-result", "The file cannot be imported");
    fs::remove_file(file).unwrap();
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_repeats_at_the_interval_that_it_shows() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/echo&every=1&message={{n}}", DESKTOP);
    press(&browser, "#repeat");
    let result = browser.wait_for("#run-result", "2,000 messages", |text| {
        text.split(' ').next().unwrap().replace(',', "").parse::<u32>().is_ok_and(|sent| sent > 2000)
    });
    press(&browser, "#repeat");
    let rate: f64 =
        result.split("· ").nth(1).unwrap().split(' ').next().unwrap().replace(',', "").parse().unwrap();
    println!("every 1 ms: {result}");
    assert!((700.0..=1100.0).contains(&rate), "{result}");
    browser.expect("#run-result", "stopped");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_shows_which_bytes_of_an_echo_differ() {
    let routes = Routes::standard().with("/corrupt", || {
        |session: &mut WebSocketSession, message: Message| {
            let mut bytes = message.into_data().to_vec();
            if let Some(byte) = bytes.get_mut(17) {
                *byte ^= 0x20;
            }
            echo(session, Message::binary(bytes))
        }
    });
    let server = TestServer::with_routes(config(), routes);
    let browser = open(&server, "#url=/corrupt&kind=hex&message=41+42+43&count=50&size=40", DESKTOP);
    browser.click("#send");
    browser.expect("#log-count", "1 identical");
    press(&browser, "#burst");
    let result = browser.expect("#run-result", "a second");
    assert!(result.starts_with("50 sent · 50 differ · "), "{result}");
    choose_events(&browser, "differs");
    expect(&browser, "≠");
    let detail = open_last_row(&browser);
    for words in ["1 byte of 40 differ, the first at offset 17", "− 00000010", "+ 00000010", "differs"] {
        assert!(detail.contains(words), "no {words} in {detail}");
    }
    browser.finish(&[]);
}
