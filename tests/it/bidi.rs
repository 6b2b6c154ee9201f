//! A headless Firefox, driven over `WebDriver BiDi`: JSON in a WebSocket, which needs no driver program.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use crate::harness::TEST_TIMEOUT;

/// A Firefox with one tab, killed on drop.
pub struct Firefox {
    process: Child,
    profile: PathBuf,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    tab: String,
    last_id: u64,
    /// Errors of scripts and of the content policy, in the order in which they came.
    pub errors: Vec<String>,
}

impl Firefox {
    /// Starts the browser and opens a page.
    pub fn open(url: &str) -> Self {
        let profile = std::env::temp_dir().join(format!("ws-echo-firefox-{}", std::process::id()));
        fs::create_dir_all(&profile).unwrap();
        let mut process = Command::new("firefox-esr")
            .args(["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile"])
            .arg(&profile)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("firefox-esr is missing: scripts/test installs it");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("listening on ").map(|(_, url)| url.to_owned()))
            .expect("Firefox does not start");
        // A full pipe would block the browser.
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let (socket, _) = tungstenite::connect(format!("{address}/session")).unwrap();
        let MaybeTlsStream::Plain(stream) = socket.get_ref() else { unreachable!("a plain connection") };
        stream.set_read_timeout(Some(2 * TEST_TIMEOUT)).unwrap();
        let mut browser =
            Self { process, profile, socket, tab: String::new(), last_id: 0, errors: Vec::new() };
        browser.call("session.new", &json!({ "capabilities": {} }));
        browser.call("session.subscribe", &json!({ "events": ["log.entryAdded"] }));
        let tree = browser.call("browsingContext.getTree", &json!({}));
        tree["contexts"][0]["context"].as_str().unwrap().clone_into(&mut browser.tab);
        let to = json!({ "context": browser.tab, "url": url, "wait": "complete" });
        browser.call("browsingContext.navigate", &to);
        browser
    }

    /// Lays the page out for a window of that size.
    pub fn resize(&mut self, (width, height): (u32, u32)) {
        let size = json!({ "context": self.tab, "viewport": { "width": width, "height": height } });
        self.call("browsingContext.setViewport", &size);
    }

    /// Returns the value of an expression, which has to be a text, a number or a truth value.
    pub fn run(&mut self, expression: &str) -> Json {
        let target = json!({ "context": self.tab });
        let asked = json!({ "expression": expression, "target": target, "awaitPromise": true });
        let answer = self.call("script.evaluate", &asked);
        assert_eq!(answer["type"], "success", "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    /// Presses and releases keys.
    pub fn press(&mut self, keys: &str) {
        let kinds = ["keyDown", "keyUp"];
        let actions: Vec<_> = keys
            .chars()
            .flat_map(|key| kinds.map(|kind| json!({ "type": kind, "value": key.to_string() })))
            .collect();
        let sources = json!([{ "type": "key", "id": "keyboard", "actions": actions }]);
        let tab = self.tab.clone();
        self.call("input.performActions", &json!({ "context": tab, "actions": sources }));
    }

    /// Waits until an element shows those words, and returns its text.
    pub fn expect(&mut self, selector: &str, words: &str) -> String {
        let deadline = Instant::now() + TEST_TIMEOUT;
        loop {
            let text = self.run(&format!("document.querySelector('{selector}')?.innerText ?? ''"));
            let text = text.as_str().unwrap();
            if text.contains(words) {
                return text.to_owned();
            }
            assert!(Instant::now() < deadline, "{selector} never shows {words}; it shows:\n{text}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a command and returns its result. Keeps the errors that are reported before it.
    fn call(&mut self, method: &str, params: &Json) -> Json {
        self.last_id += 1;
        let id = self.last_id;
        let command = json!({ "id": id, "method": method, "params": params }).to_string();
        self.socket.send(Message::text(command)).unwrap();
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let mut message: Json = serde_json::from_str(&text).unwrap();
            if message["id"] == id {
                assert_eq!(message["type"], "success", "{method} {params}: {message:#}");
                return message["result"].take();
            }
            if message["params"]["level"] == "error" {
                self.errors.push(message["params"]["text"].to_string());
            }
        }
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}
