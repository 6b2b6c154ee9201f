//! The page in Firefox.

use crate::bidi::Firefox;
use crate::harness::TestServer;

#[test]
#[ignore = "needs Firefox: scripts/test runs it"]
fn page_works_in_firefox() {
    let server = TestServer::start();
    let mut browser = Firefox::open(&format!("http://{}/", server.address));
    browser.expect("#status", "Connected");
    browser.expect("#endpoints", "/stats");
    browser.run("document.getElementById('message').focus()");
    browser.press("\u{e007}");
    browser.expect("#panes", "Received: Hello, world!");
    browser.expect("#log-count", "1 sent · 1 received · 1 echoed with prefix");
    browser.run("[...document.querySelectorAll('.entry .line')].at(-1).click()");
    browser.expect(".detail", "round trip");
    // Another endpoint, bytes, and a burst.
    browser.run("document.querySelector('[data-path=\"/echo\"] .endpoint-head button').click()");
    browser.expect("#panes", "replaced by a new connection");
    browser.run("document.querySelector('#kinds input[value=hex]').click()");
    browser.run(
        "const field = document.getElementById('message'); field.value = '00 ff 7f'; field.dispatchEvent(new Event('input'))",
    );
    browser.run("document.getElementById('burst').click()");
    let result = browser.expect("#run-result", "a second");
    assert!(result.starts_with("1,000 sent · 1,000 identical · "), "{result}");
    // Two connections, and every width without a scroll bar across.
    browser.run("document.getElementById('second').click()");
    browser.expect(".pane:nth-child(2)", "connected: ws://");
    for size in [(320, 640), (375, 720), (640, 450), (1280, 900)] {
        browser.resize(size);
        for tab in ["endpoints", "figures", "code", "messages"] {
            browser.run(&format!("document.getElementById('tab-{tab}').click()"));
            let wide = browser.run(
                "document.documentElement.scrollWidth <= innerWidth ? '' : 'scrolls: ' + [...document.querySelectorAll('body *')] \
                 .filter((e) => { e.hidden = !e.hidden; const mends = document.documentElement.scrollWidth <= innerWidth; \
                 e.hidden = !e.hidden; return mends; }).map((e) => e.id || e.className || e.tagName).join()",
            );
            assert_eq!(wide, "", "{size:?}, {tab}: too wide");
        }
    }
    assert!(browser.errors.is_empty(), "{:?}", browser.errors);
    // Why a handshake failed; this is an error in the console.
    browser.run("const url = document.getElementById('url'); url.value = '/delay?ms=soon'; url.dispatchEvent(new Event('input')); document.getElementById('connect').click()");
    browser.expect("#panes", "the server answered 400 Bad Request: ms takes a time");
}
