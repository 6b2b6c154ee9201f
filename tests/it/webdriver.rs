//! A headless Chromium, driven over the `WebDriver` protocol by a few lines of blocking HTTP.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::harness::TEST_TIMEOUT;

/// The field of an element reference in the `WebDriver` protocol.
const REFERENCE: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window, closed on drop.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: PathBuf,
}

impl Browser {
    /// Starts a browser with a page in a window of that size.
    pub fn open(url: &str, size: (u32, u32)) -> Self {
        Self::start(url, size, None)
    }

    /// Starts a browser with that home directory, where Chromium looks for trusted certificates.
    pub fn open_at_home(home: &Path, url: &str, size: (u32, u32)) -> Self {
        Self::start(url, size, Some(home))
    }

    fn start(url: &str, (width, height): (u32, u32), home: Option<&Path>) -> Self {
        let (driver, port) = start_driver(home);
        let profile = std::env::temp_dir().join(format!("ws-echo-browser-{}-{port}", std::process::id()));
        fs::create_dir_all(&profile).unwrap();
        let mut browser = Self { driver, port, session: String::new(), profile };
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            &format!("--user-data-dir={}", browser.profile.display()),
            &format!("--window-size={width},{height}"),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        } } });
        let session = browser.call("POST", "/session", &wanted);
        session["sessionId"].as_str().unwrap_or_else(|| panic!("{session}")).clone_into(&mut browser.session);
        browser.resize((width, height));
        browser.go(url);
        browser
    }

    /// Lays the page out for a window of that size. Headless windows have a least width of their own.
    pub fn resize(&self, (width, height): (u32, u32)) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Goes to another page.
    pub fn go(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// Runs a script and returns its result.
    pub fn run(&self, script: &str) -> Json {
        self.command("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Returns the visible text of an element.
    pub fn text(&self, selector: &str) -> String {
        self.on(selector, "GET", "/text", &Json::Null).as_str().unwrap().to_owned()
    }

    /// Clicks an element, which must be visible and not covered.
    pub fn click(&self, selector: &str) {
        self.on(selector, "POST", "/click", &json!({}));
    }

    /// Types into a field, in place of what it holds.
    pub fn fill(&self, selector: &str, text: &str) {
        self.on(selector, "POST", "/clear", &json!({}));
        self.choose(selector, text);
    }

    /// Types into an element, which selects the option of a list.
    pub fn choose(&self, selector: &str, text: &str) {
        self.on(selector, "POST", "/value", &json!({ "text": text }));
    }

    /// Waits until the text of an element satisfies the test, and returns it.
    pub fn wait_for(&self, selector: &str, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + TEST_TIMEOUT;
        loop {
            let text = self.text(selector);
            if holds(&text) {
                return text;
            }
            assert!(Instant::now() < deadline, "{selector} never shows {what}; it shows:\n{text}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a script returns true.
    pub fn wait_for_script(&self, script: &str) {
        let deadline = Instant::now() + TEST_TIMEOUT;
        while self.run(script) != true {
            assert!(Instant::now() < deadline, "never true: {script}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until an element shows those words.
    pub fn expect(&self, selector: &str, words: &str) -> String {
        self.wait_for(selector, words, |text| text.contains(words))
    }

    /// Sets the preferred colour scheme, `light` or `dark`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Presses keys one after the other, on the element that has the focus.
    pub fn press(&self, keys: &str) {
        let actions: Vec<_> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
            })
            .collect();
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.command("POST", "/actions", &body);
    }

    /// Opens a page in another tab, and stays there. Returns the handle of the tab before.
    pub fn open_tab(&self, url: &str) -> String {
        let before = self.command("GET", "/window", &Json::Null).as_str().unwrap().to_owned();
        let opened = self.command("POST", "/window/new", &json!({ "type": "tab" }));
        self.switch_to(opened["handle"].as_str().unwrap());
        self.go(url);
        before
    }

    /// Makes another tab the present one.
    pub fn switch_to(&self, tab: &str) {
        self.command("POST", "/window", &json!({ "handle": tab }));
    }

    /// Fails requests for URLs that match a pattern; an empty pattern ends this.
    pub fn block(&self, pattern: &str) {
        self.devtools("Network.enable", &json!({}));
        let patterns: &[&str] = if pattern.is_empty() { &[] } else { &[pattern] };
        self.devtools("Network.setBlockedURLs", &json!({ "urls": patterns }));
    }

    /// Returns the size of the JavaScript heap after a collection, in bytes.
    pub fn heap(&self) -> u64 {
        self.devtools("HeapProfiler.collectGarbage", &json!({}));
        self.devtools("Runtime.getHeapUsage", &json!({}))["usedSize"].as_u64().unwrap()
    }

    /// Emulates colours that the system forces on pages.
    pub fn force_colours(&self) {
        let features = json!([{ "name": "forced-colors", "value": "active" }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Saves a picture of the window if `WS_ECHO_SCREENSHOTS` names a directory.
    pub fn picture(&self, name: &str) {
        let Ok(directory) = std::env::var("WS_ECHO_SCREENSHOTS") else { return };
        let picture = self.devtools("Page.captureScreenshot", &json!({}));
        let bytes = data_encoding::BASE64.decode(picture["data"].as_str().unwrap().as_bytes()).unwrap();
        fs::write(PathBuf::from(directory).join(format!("{name}.png")), bytes).unwrap();
    }

    /// Checks that every line of the console contains one of those words.
    pub fn finish(self, expected: &[&str]) {
        let entries = self.command("POST", "/se/log", &json!({ "type": "browser" }));
        for entry in entries.as_array().unwrap() {
            let message = entry["message"].as_str().unwrap();
            assert!(expected.iter().any(|words| message.contains(words)), "in the console: {entry}");
        }
    }

    fn devtools(&self, command: &str, params: &Json) -> Json {
        self.command("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": params }))
    }

    /// A command about one element.
    fn on(&self, selector: &str, method: &str, path: &str, body: &Json) -> Json {
        let found = self.command("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        let id = found[REFERENCE].as_str().unwrap_or_else(|| panic!("no {selector}: {found}"));
        self.command(method, &format!("/element/{id}{path}"), body)
    }

    fn command(&self, method: &str, path: &str, body: &Json) -> Json {
        self.call(method, &format!("/session/{}{path}", self.session), body)
    }

    /// One request to the driver. What it says is wrong fails the test.
    fn call(&self, method: &str, path: &str, body: &Json) -> Json {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(2 * TEST_TIMEOUT)).unwrap();
        let port = self.port;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len(),
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The driver ignores `Connection: close`.
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        for line in answer.by_ref().lines() {
            let line = line.unwrap_or_else(|error| panic!("{method} {path}: {error}")).to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        let mut content = vec![0; length];
        answer.read_exact(&mut content).unwrap();
        let mut content: Json = serde_json::from_slice(&content).unwrap();
        let value = content["value"].take();
        assert!(value.get("error").is_none(), "{method} {path} {body}: {value:#}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !thread::panicking() {
            self.command("DELETE", "", &Json::Null);
        }
        // At this request the driver ends its browser, which it does not do when it is killed.
        if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
            let _ =
                stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.read(&mut [0; 1024]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// Starts a driver and returns its port. It picks a free port for IPv4 and then the same for IPv6, where it may be in
/// use. In that case it ends, and another one is started.
fn start_driver(home: Option<&Path>) -> (Child, u16) {
    let mut output = String::new();
    for _ in 0..10 {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .envs(home.map(|home| ("HOME", home)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is missing: install the packages chromium and chromium-driver");
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        for line in lines {
            if let Some((_, port)) = line.split_once("successfully on port ") {
                return (driver, port.trim_end_matches('.').parse().unwrap());
            }
            output.push_str(&line);
        }
        driver.wait().unwrap();
    }
    panic!("chromedriver does not start: {output}");
}
