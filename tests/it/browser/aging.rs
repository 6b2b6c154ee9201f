//! The page after tens of thousands of messages.

use std::thread;
use std::time::{Duration, Instant};

use super::{DESKTOP, open, press};
use crate::harness::TestServer;

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_heap_is_flat_at_a_thousand_messages_a_second() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/echo&every=1&message=message+{{n}}+at+{{now}}", DESKTOP);
    let sent = || -> u64 {
        let text = browser.text("#log-count");
        text.split(' ').next().unwrap().replace(',', "").parse().unwrap_or(0)
    };
    press(&browser, "#repeat");
    let start = Instant::now();
    let mut heaps = Vec::new();
    // The log is full after 12 s; then its size no longer changes.
    for seconds in [15, 30, 45, 60] {
        let left = Duration::from_secs(seconds).saturating_sub(start.elapsed());
        thread::sleep(left);
        heaps.push(browser.heap() >> 10);
    }
    let rate = sent() / start.elapsed().as_secs();
    println!("heap after 15, 30, 45 and 60 s, KiB: {heaps:?}; {rate} messages a second");
    press(&browser, "#repeat");
    assert!(rate > 700, "{rate} messages a second");
    assert!(heaps[3] < heaps[0] + heaps[0] / 10 + 512, "the heap grows: {heaps:?} KiB");
    browser.finish(&[]);
}
