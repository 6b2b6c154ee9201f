//! What is sent: files of messages, placeholders, and what differs between connections.

use crate::{
    harness::TestServer,
    runs::{Run, faults, scratch, ws_load},
    test_servers::{Server, read_head},
};
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};
use tungstenite::{Message, handshake::derive_accept_key};

/// A file that is removed at the end of a test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = scratch(name);
        fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Starts a server that echoes, and keeps the messages.
fn keeping() -> (Server, Arc<Mutex<Vec<Message>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let server = Server::replying(move |_, message| {
        keep.lock().unwrap().push(message.clone());
        vec![message]
    });
    (server, kept)
}

/// Runs four messages on one connection. Returns what the server received.
fn sent(options: &[&str]) -> Vec<Vec<u8>> {
    let (server, kept) = keeping();
    let run = ws_load(&server.url(), &[&["-c", "1", "-n", "4"][..], options].concat());
    assert_eq!((run.code, faults(&run), run.count("replies")), (Some(0), vec![], 4), "{options:?}: {run:?}");
    kept.lock().unwrap().iter().map(|message| message.clone().into_data().to_vec()).collect()
}

#[test]
fn file_of_lines_can_be_binary() {
    let file = Scratch::new("lines.bin", b"one\n\xff\xfe\r\n\nlast");
    assert_eq!(sent(&["--binary", "--file", file.path()]), [&b"one"[..], b"\xff\xfe", b"", b"last"]);
    let run = ws_load("ws://127.0.0.1:1/", &["--file", file.path()]);
    assert_eq!((run.code, run.stderr.lines().count()), (Some(1), 1), "{run:?}");
    assert!(run.stderr.contains("line 2 is not UTF-8: send binary messages with --binary"), "{run:?}");
}

#[test]
fn file_of_lengths_can_contain_line_feeds() {
    let file =
        Scratch::new("lengths.bin", [&[0, 0, 0, 3][..], b"a\nb", &[0, 0, 0, 0], &[0, 0, 0, 1, 7]].concat());
    let options = ["--binary", "--file", file.path(), "--file-format", "lengths"];
    assert_eq!(sent(&options), [&b"a\nb"[..], b"", b"\x07", b"a\nb"]);
    let file = Scratch::new("cut.bin", [0, 0, 0, 9, 1]);
    let run = ws_load("ws://127.0.0.1:1/", &["--file", file.path(), "--file-format", "lengths"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("message 1 is cut off: 9 bytes announced, 1 in the file"), "{run:?}");
}

#[test]
fn file_can_be_a_folder_of_messages() {
    let folder = scratch("folder");
    fs::create_dir(&folder).unwrap();
    for (name, content) in [("b", &b"second"[..]), ("a", b"first\n"), ("c", b"\xff")] {
        fs::write(folder.join(name), content).unwrap();
    }
    let path = folder.to_str().unwrap();
    let binary = sent(&["--binary", "--file", path, "--file-format", "dir"]);
    let text = ws_load("ws://127.0.0.1:1/", &["--file", path, "--file-format", "dir"]);
    let lines = ws_load("ws://127.0.0.1:1/", &["--file", path]);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(binary, [&b"first\n"[..], b"second", b"\xff", b"first\n"]);
    assert!(text.code == Some(1) && text.stderr.contains("/c: not UTF-8"), "{text:?}");
    assert!(lines.code == Some(1) && lines.stderr.contains("--file-format dir"), "{lines:?}");
}

#[test]
fn file_can_be_standard_input() {
    let (server, kept) = keeping();
    let mut run = Command::new(env!("CARGO_BIN_EXE_ws-load"))
        .args([&server.url(), "-c", "1", "-n", "2", "--file", "-", "-q"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    run.stdin.take().unwrap().write_all(b"from\nstdin\n").unwrap();
    assert!(run.wait().unwrap().success());
    assert_eq!(*kept.lock().unwrap(), [Message::text("from"), Message::text("stdin")]);
    let run = ws_load(&server.url(), &["--file", "-", "--find", "p99<1s"]);
    assert_eq!(run.code, Some(2), "{run:?}");
}

#[test]
fn message_can_be_given() {
    assert_eq!(
        sent(&["--message", "{\"op\":\"ping\",\"n\":{seq}}"]),
        vec![b"{\"op\":\"ping\",\"n\":{seq}}"; 4]
    );
    let sent = sent(&["--message", "{\"op\":\"ping\",\"n\":{seq}}", "--template"]);
    assert_eq!(sent[3], b"{\"op\":\"ping\",\"n\":3}");
}

#[test]
fn placeholders_make_each_message_unlike_the_others() {
    let (server, kept) = keeping();
    let tokens = Scratch::new("tokens.txt", "alpha\nbeta\n");
    let options = ["-c", "3", "-n", "60", "-d", "4", "--template", "--token-file", tokens.path()];
    let message = ["--message", "{conn} {seq} {uuid} {token} {other}"];
    let run = ws_load(&server.url(), &[&options[..], &message].concat());
    assert_eq!((run.code, faults(&run), run.count("replies")), (Some(0), vec![], 60), "{run:?}");
    let kept: BTreeSet<_> = kept.lock().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(kept.len(), 60, "{kept:?}");
    let words: Vec<Vec<&str>> = kept.iter().map(|text| text.split(' ').collect()).collect();
    assert_eq!(words.iter().map(|words| words[2]).collect::<BTreeSet<_>>().len(), 60, "{words:?}");
    for words in words {
        // The third connection has the first token again.
        let token = if words[0] == "1" { "beta" } else { "alpha" };
        assert!(words[1].parse::<u64>().unwrap() < 60 && words[2].len() == 36, "{words:?}");
        assert_eq!(words[3..], [token, "{other}"], "{words:?}");
    }
    // A server that changes one of them is found out.
    let server = Server::replying(|number, message| {
        vec![if number == 5 { Message::text(message.to_string().replace("5 ", "6 ")) } else { message }]
    });
    let run = ws_load(&server.url(), &["-c", "1", "-n", "20", "--template", "--message", "{seq} {uuid}"]);
    assert_eq!((run.code, faults(&run)), (Some(1), vec![("changed", 1)]), "{run:?}");
}

/// Starts a server that keeps the heads of the requests, and echoes.
fn keeping_heads() -> (Server, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heads);
    let server = Server::raw(move |mut stream, _, _| {
        let head = read_head(&mut stream);
        let field = |name: &str| {
            let line = head
                .lines()
                .find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)));
            line.map(|(_, value)| value.to_owned())
        };
        let accept = derive_accept_key(field("Sec-WebSocket-Key").unwrap_or_default().as_bytes());
        let protocol = field("Sec-WebSocket-Protocol")
            .map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"))
            .unwrap_or_default();
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
        );
        if stream.write_all(response.as_bytes()).is_err() {
            return;
        }
        keep.lock().unwrap().push(head);
        let role = tungstenite::protocol::Role::Server;
        let mut websocket = tungstenite::WebSocket::from_raw_socket(stream, role, None);
        while let Ok(message) = websocket.read() {
            if message.is_text() && websocket.send(message).is_err() {
                break;
            }
        }
    });
    (server, heads)
}

fn run_heads(url_end: &str, options: &[&str]) -> (Run, Vec<String>) {
    let (server, heads) = keeping_heads();
    let url = format!("ws://{}/{url_end}", server.address);
    let run = ws_load(&url, &[&["-c", "3", "-n", "30"][..], options].concat());
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    let mut heads = heads.lock().unwrap().clone();
    heads.sort();
    (run, heads)
}

#[test]
fn header_fields_can_differ_between_connections() {
    let tokens = Scratch::new("bearer.txt", "t0\nt1\nt2/&\n");
    let fields = Scratch::new("fields.txt", "X-Line: a\r\nCookie: b=1\nSec-WebSocket-Protocol: chat\n");
    let options = [
        "--template",
        "--token-file",
        tokens.path(),
        "--header-file",
        fields.path(),
        "-H",
        "Authorization: Bearer {token}",
        "-H",
        "X-Id: {conn}/{seq}/{uuid}",
    ];
    let (run, heads) = run_heads("room-{conn}?token={token}&b={b}", &options);
    assert_eq!(heads.len(), 3, "{heads:?}");
    let mut ids = BTreeSet::new();
    for (number, head) in heads.iter().enumerate() {
        let token = ["t0", "t1", "t2%2F%26"][number];
        assert!(
            head.starts_with(&format!("GET /room-{number}?token={token}&b=%7Bb%7D HTTP/1.1\r\n")),
            "{head}"
        );
        let lower = head.to_lowercase();
        let line = ["x-line: a", "cookie: b=1", "sec-websocket-protocol: chat"][number];
        assert_eq!(lower.matches(line).count(), 1, "{head}");
        let bearer = ["t0", "t1", "t2/&"][number];
        assert!(lower.contains(&format!("authorization: bearer {bearer}\r\n")), "{head}");
        let id = lower.split("x-id: ").nth(1).unwrap().lines().next().unwrap().to_owned();
        assert!(id.starts_with(&format!("{number}/0/")) && id.len() == 40, "{id}");
        ids.insert(id);
    }
    assert_eq!(ids.len(), 3);
    assert!(!run.json.to_string().contains("t2/&"), "a token is in the results");
}

#[test]
fn header_fields_with_braces_stay_without_template() {
    let (_, heads) = run_heads("{conn}", &["-H", "X-Json: {conn}"]);
    assert!(
        heads.iter().all(|head| head.contains("GET /%7Bconn%7D ") && head.contains(": {conn}\r\n")),
        "{heads:?}"
    );
}

#[test]
fn first_message_can_be_the_login_of_a_connection() {
    let (server, kept) = keeping();
    let tokens = Scratch::new("logins.txt", "s3cret-0\ns3cret-1\n");
    let options =
        ["-c", "2", "-n", "10", "--first", "login {token}", "--template", "--token-file", tokens.path()];
    let run = ws_load(&server.url(), &options);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    let kept: BTreeSet<_> = kept.lock().unwrap().iter().map(ToString::to_string).collect();
    assert!(kept.contains("login s3cret-0") && kept.contains("login s3cret-1"), "{kept:?}");
    for secret in ["s3cret", "login "] {
        assert!(!run.json.to_string().contains(secret), "{secret} is in the results");
    }
}

#[test]
fn data_options_that_contradict_each_other_are_rejected() {
    let empty = Scratch::new("empty.txt", "");
    for (options, code) in [
        (&["--message", "x", "--file", "y"][..], 2),
        (&["--file-format", "dir"], 2),
        (&["--token-file", "x"], 2),
        (&["--template", "--message", "{token}"], 2),
        (&["--template", "-H", "X: {token}"], 2),
        (&["--header-file", empty.path()], 1),
        (&["--file", empty.path()], 1),
        (&["--header-file", "/no/such/file"], 1),
    ] {
        let run = ws_load("ws://127.0.0.1:1/", options);
        assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{options:?}: {run:?}");
    }
    let bad = Scratch::new("bad.txt", "X-Good: 1\nno colon\n");
    let run = ws_load("ws://127.0.0.1:1/", &["--header-file", bad.path()]);
    assert!(
        run.code == Some(1) && run.stderr.contains("line 2: the header field \"no colon\" has no colon"),
        "{run:?}"
    );
}

#[test]
fn compression_is_counted_apart_from_latency() {
    let server = TestServer::start();
    let url = format!("ws://{}/echo", server.address);
    let text = "compressible ".repeat(8000);
    let run = ws_load(&url, &["-c", "1", "-n", "20", "--message", &text, "--deflate"]);
    assert_eq!((run.code, faults(&run), run.count("compressed")), (Some(0), vec![], 1), "{run:?}");
    assert_eq!(run.json["compression"]["count"], 20, "{run:?}");
    assert!(run.number("/compression/min_us") > 10.0, "{run:?}");
    for (wire, payload) in [("wire_sent_bytes", "sent_bytes"), ("wire_received_bytes", "reply_bytes")] {
        let (wire, payload) = (run.count(wire), run.count(payload));
        assert!(wire > 500 && wire < payload / 20 && payload == 20 * 104_000, "{wire} of {payload}: {run:?}");
    }
    assert!(run.stdout.contains("on the wire"), "{run:?}");
    let run = ws_load(&url, &["-c", "1", "-n", "20", "--size", "1KiB"]);
    assert!(run.count("wire_sent_bytes") > 20 * 1024 && run.count("wire_sent_bytes") < 21 * 1100, "{run:?}");
}
