//! How fast the page is. scripts/test runs these tests one at a time.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use super::{DESKTOP, expect, open, press};
use crate::harness::{TEST_TIMEOUT, TestServer};
use crate::webdriver::Browser;

/// Delay of each direction of the proxy.
const DELAY: Duration = Duration::from_millis(100);

/// Forwards one direction of a connection, each byte after [`DELAY`].
fn forward(mut from: TcpStream, mut to: TcpStream) {
    let (sender, receiver) = sync_channel::<(Instant, Vec<u8>)>(1000);
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + DELAY, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
}

/// Starts a proxy to a server and returns its address. It ends with the tests.
fn delaying_proxy(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(server) else { continue };
            forward(client.try_clone().unwrap(), server.try_clone().unwrap());
            forward(server, client);
        }
    });
    address
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_is_ready_within_a_second_over_a_slow_line() {
    let server = TestServer::start();
    let proxy = delaying_proxy(server.address);
    let browser = Browser::open("about:blank", DESKTOP);
    let mut times: Vec<f64> = (0..3)
        .map(|_| {
            browser.go(&format!("http://{proxy}/?{}", browser.run("return Math.random()")));
            expect(&browser, "connected: ws://");
            browser.run("return Date.now() - performance.timeOrigin").as_f64().unwrap()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("ready to send over a line of 100 ms in each direction, ms: {times:?}");
    assert!(times[0] < 1000.0, "{times:?} ms");
    browser.finish(&[]);
}

/// Sends a burst from a page without any content, and returns the messages a second.
fn bare_rate(server: &TestServer) -> f64 {
    let browser = Browser::open(&format!("http://{}/health", server.address), DESKTOP);
    browser.run(
        "window.rate = null; const socket = new WebSocket(`ws://${location.host}/echo`); let left = 10000; \
         const text = 'Hello, world!'.repeat(8).slice(0, 100); let start; \
         socket.onopen = () => { start = performance.now(); for (let i = 0; i < 10000; i += 1) socket.send(text); }; \
         socket.onmessage = () => { left -= 1; if (left === 0) window.rate = 10000 / (performance.now() - start) * 1000; };",
    );
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        if let Some(rate) = browser.run("return window.rate").as_f64() {
            return rate;
        }
        assert!(Instant::now() < deadline, "no echo for the bare page");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_burst_is_half_as_fast_as_a_bare_page_and_blocks_nothing() {
    let server = TestServer::start();
    let bare = bare_rate(&server);
    let browser = open(&server, "#url=/echo&count=10000", DESKTOP);
    browser.run(
        "window.tasks = []; new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => e.duration))) \
         .observe({ type: 'longtask' });",
    );
    let mut longest = Vec::new();
    let mut rates: Vec<f64> = (1..=3)
        .map(|n| {
            browser.run("window.tasks.length = 0");
            press(&browser, "#burst");
            browser.expect("#log-count", &format!("{n}0,000 identical"));
            let result = browser.expect("#run-result", "a second");
            longest.push(browser.run("return Math.max(0, ...window.tasks)").as_f64().unwrap());
            result.rsplit(", ").next().unwrap().split(' ').next().unwrap().replace(',', "").parse().unwrap()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("burst of 10,000: bare page {bare:.0}/s, page {rates:?}/s, longest tasks {longest:?} ms");
    // Other programs can take the processor during one of the bursts.
    longest.sort_by(f64::total_cmp);
    let longest = longest[1];
    assert!(rates[2] * 2.0 >= bare, "{rates:?} a second, and a bare page {bare:.0}");
    assert!(longest <= 200.0, "a task took {longest} ms");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_has_few_bytes_to_load() {
    let server = TestServer::start();
    let browser = open(&server, "", DESKTOP);
    browser.expect("#endpoints", "/stats");
    let sizes = browser.run(
        "const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]; \
         return entries.map((e) => [new URL(e.name).pathname, e.transferSize])",
    );
    let total: u64 = sizes.as_array().unwrap().iter().map(|entry| entry[1].as_u64().unwrap()).sum();
    println!("loaded: {sizes}, {total} bytes");
    assert!(total < 60_000, "{sizes}");
    // A second visit gets the script from the cache, and the document as 304.
    browser.go("about:blank");
    browser.go(&format!("http://{}/", server.address));
    browser.expect("#status", "Connected");
    let again = browser.run(
        "const document = performance.getEntriesByType('navigation')[0]; \
         const script = performance.getEntriesByType('resource').find((e) => e.name.includes('page.js')); \
         return [document.transferSize, script.transferSize]",
    );
    println!("loaded again: {again}");
    assert!(again[0].as_u64().unwrap() < 1000 && again[1] == 0, "{again}");
    browser.finish(&[]);
}

#[test]
#[ignore = "needs Chromium: scripts/test runs it"]
fn page_round_trips_leave_out_its_own_drawing() {
    let server = TestServer::start();
    let browser = open(&server, "#url=/echo", DESKTOP);
    for n in 1..=21 {
        browser.click("#send");
        browser.expect("#log-count", &format!("{n} identical"));
    }
    let trips = browser.run(
        "return [...document.querySelectorAll('.trip')].map((e) => parseFloat(e.textContent)).filter((ms) => ms >= 0)",
    );
    let mut trips: Vec<_> = trips.as_array().unwrap().iter().map(|trip| trip.as_f64().unwrap()).collect();
    trips.sort_by(f64::total_cmp);
    println!("round trips of single clicks, ms: {trips:?}");
    assert!(trips[trips.len() / 2] < 5.0, "the median of {trips:?} ms");
    browser.finish(&[]);
}
