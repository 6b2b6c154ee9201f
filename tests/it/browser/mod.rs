//! The page in a real browser. A test fails if the console has an error or the content policy was violated.
//!
//! They need the Debian packages `chromium`, `chromium-driver`, `libnss3-tools` and `firefox-esr`. `scripts/test` installs
//! these and what else they use, and runs them.

mod accessibility;
mod aging;
mod basics;
mod connecting;
mod firefox;
mod log;
mod messages;
mod performance;
mod snippets;

use crate::harness::TestServer;
use crate::webdriver::Browser;

const DESKTOP: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (375, 720);

/// Chromium logs this for every connection that failed or was closed abnormally.
const FAILED: &str = "WebSocket connection to ";

/// Chromium logs this for the response that explains a failed handshake.
const EXPLAINED: &str = "Failed to load resource";

/// Opens the page of a server and waits until it has connected.
fn open(server: &TestServer, hash: &str, size: (u32, u32)) -> Browser {
    let browser = Browser::open(&format!("http://{}/{hash}", server.address), size);
    browser.expect("#status", "Connected");
    browser
}

/// Waits until the log shows those words.
fn expect(browser: &Browser, words: &str) -> String {
    browser.expect("#panes", words)
}

/// Clicks an element with a script, which also works where something covers it.
fn press(browser: &Browser, selector: &str) {
    browser.run(&format!("document.querySelector('{selector}').click()"));
}

/// Puts a text into a field, as if it were typed.
fn type_into(browser: &Browser, selector: &str, text: &str) {
    let text = serde_json::Value::from(text);
    browser.run(&format!(
        "const field = document.querySelector('{selector}'); field.value = {text}; \
         field.dispatchEvent(new Event('input', {{ bubbles: true }}))"
    ));
}

/// Chooses the kind of the message.
fn choose_kind(browser: &Browser, kind: &str) {
    press(browser, &format!("#kinds input[value={kind}]"));
}

/// Chooses which events are shown.
fn choose_events(browser: &Browser, kind: &str) {
    browser.run(&format!(
        "const list = document.getElementById('filter-kind'); list.value = '{kind}'; \
         list.dispatchEvent(new Event('change'))"
    ));
}

/// Opens the last row of the log and returns the text of its details.
fn open_last_row(browser: &Browser) -> String {
    browser.run("[...document.querySelectorAll('.entry .line')].at(-1).click()");
    browser.text(".detail")
}

/// Connects to a path with the field and the button of the bar.
fn connect_to(browser: &Browser, target: &str) {
    type_into(browser, "#url", target);
    press(browser, "#connect");
}
