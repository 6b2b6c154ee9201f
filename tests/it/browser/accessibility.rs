//! axe-core finds no violation, and the parts that it cannot check are checked here.

use std::fs;
use std::path::Path;

use super::{DESKTOP, PHONE, expect, open, open_last_row, press};
use crate::harness::TestServer;
use crate::webdriver::Browser;

/// Runs axe-core on the page as it is shown.
fn assert_accessible(browser: &Browser, what: &str) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/page-checks/node_modules/axe-core/axe.min.js");
    let axe = fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; scripts/test installs it", file.display()));
    browser.run(&format!("{axe}; window.axe = axe;"));
    browser.run(
        "window.found = null; axe.run(document).then(({ violations, passes }) => { \
         window.found = [passes.length, violations.map((v) => [v.id, v.help, v.nodes.map((n) => n.html.slice(0, 200))])]; });",
    );
    let deadline = std::time::Instant::now() + crate::harness::TEST_TIMEOUT;
    let found = loop {
        let found = browser.run("return window.found");
        if !found.is_null() {
            break found;
        }
        assert!(std::time::Instant::now() < deadline, "axe-core does not end");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(found[0].as_u64().unwrap() > 20, "{what}: too few checks: {found}");
    assert_eq!(found[1].as_array().unwrap().len(), 0, "{what}: {:#}", found[1]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_has_no_violation_that_axe_finds() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/&stats=1", DESKTOP);
    browser.expect("#endpoints", "/stats");
    browser.click("#send");
    expect(&browser, "Received: Hello, world!");
    open_last_row(&browser);
    for (size, scheme) in [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")] {
        browser.resize(size);
        browser.prefer(scheme);
        for tab in ["messages", "endpoints", "figures", "code"] {
            press(&browser, &format!("#tab-{tab}"));
            assert_accessible(&browser, &format!("{tab} at {size:?}, {scheme}"));
        }
    }
    browser.resize(DESKTOP);
    for menu in ["options", "export", "saved-menu", "repeat-menu"] {
        browser.run(&format!("document.getElementById('{menu}').open = true"));
        assert_accessible(&browser, &format!("the menu {menu}"));
        browser.picture(&format!("menu-{menu}"));
        browser.run(&format!("document.getElementById('{menu}').open = false"));
    }
    // A failure, and a second connection.
    press(&browser, "#second");
    browser.expect(".pane:nth-child(2)", "connected: ws://");
    super::connect_to(&browser, "ftp://example.org");
    browser.expect("#connection-problem", "is not a scheme");
    assert_accessible(&browser, "two connections and an error");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_theme_is_kept_and_forced_colours_mark_what_is_chosen() {
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    browser.prefer("light");
    let background = || browser.run("return getComputedStyle(document.body).backgroundColor");
    let light = background();
    browser.click("#theme");
    browser.click("#theme");
    assert_eq!(browser.text("#theme"), "Theme: dark");
    assert_ne!(background(), light);
    browser.go(&format!("http://{}/#message=again", server.address));
    browser.expect("#status", "Connected");
    assert_ne!(background(), light, "the theme is kept");
    browser.force_colours();
    let outline = browser.run(
        "return [...document.querySelectorAll('#kinds input:checked + span, [role=tab][aria-selected=true]')] \
         .filter((e) => e.offsetParent).map((e) => getComputedStyle(e).outlineStyle)",
    );
    assert_eq!(outline, serde_json::json!(["solid", "solid"]), "{outline}");
    browser.finish(&[]);
}
