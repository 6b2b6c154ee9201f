//! The connections of the load generator: churn, hold, TLS, compression, header fields.

use crate::{
    runs::{faults, scratch, ws_load},
    test_servers::Server,
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tungstenite::{
    Message, accept, accept_hdr,
    handshake::server::{Request, Response},
};

#[test]
fn churn_connects_echoes_and_closes_repeatedly() {
    let server = Server::echo();
    let run = ws_load(&server.url(), &["--churn", "-c", "5", "-t", "2", "-n", "200"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for name in ["attempted", "opened", "cycles", "replies", "closed_clean"] {
        assert_eq!(run.count(name), 200, "{name}: {run:?}");
    }
    for metric in ["connect", "handshake"] {
        assert_eq!(run.json[metric]["count"], 200, "{metric}: {run:?}");
    }
    assert_eq!(server.counted(), 200);
}

#[test]
fn churn_at_a_rate_keeps_the_rate() {
    let server = Server::echo();
    // As many connections as cycles, so that a busy machine delays cycles and omits none.
    let run = ws_load(&server.url(), &["--churn", "-c", "100", "--connect-rate", "100", "-D", "1s"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for name in ["attempted", "opened", "replies", "closed_clean"] {
        assert_eq!(run.count(name), 100, "{name}: {run:?}");
    }
}

#[test]
fn churn_at_a_rate_with_a_slow_server_forgets_no_connection() {
    // A cycle takes 50 ms, and each of the 20 connections is due every 200 ms: most of them wait in the
    // queue.
    let server = Server::raw(|stream, _, messages| {
        std::thread::sleep(Duration::from_millis(25));
        let Ok(mut websocket) = accept(stream) else { return };
        std::thread::sleep(Duration::from_millis(25));
        while let Ok(message) = websocket.read() {
            messages.fetch_add(u64::from(message.is_text()), Ordering::Relaxed);
            if message.is_text() && websocket.send(message).is_err() {
                return;
            }
        }
    });
    let run = ws_load(&server.url(), &["--churn", "-c", "20", "--connect-rate", "100", "-D", "2s"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for name in ["opened", "replies", "closed_clean"] {
        assert_eq!(run.count(name), run.count("attempted"), "{name}: {run:?}");
    }
    assert_eq!(server.counted(), run.count("replies"), "{run:?}");
}

#[test]
fn churn_counts_cycles_of_the_measured_time_alone() {
    // Replies after the measured time to all but the first two messages.
    let number = AtomicU64::new(0);
    let server = Server::replying(move |_, message| {
        if number.fetch_add(1, Ordering::Relaxed) >= 2 {
            std::thread::sleep(Duration::from_millis(1500));
        }
        vec![message]
    });
    let run = ws_load(&server.url(), &["--churn", "-c", "4", "-D", "1s"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let (cycles, replies) = (run.count("cycles"), run.count("replies"));
    assert!(cycles <= 2 && replies == cycles + 4, "{run:?}");
    assert_eq!(run.json["cycle"]["count"], cycles, "{run:?}");
    // Now every cycle takes 1.5 s: one ends in the measured time, the next one after it.
    let run = ws_load(&server.url(), &["--churn", "-c", "4", "--warmup", "1s", "-D", "1s"]);
    assert_eq!(run.count("cycles"), run.json["cycle"]["count"].as_u64().unwrap(), "{run:?}");
    assert!(run.count("replies") > run.count("cycles"), "{run:?}");
}

#[test]
fn churn_counts_connections_that_are_still_opening_at_the_end_as_unfinished() {
    // The handshake of every second connection is never answered.
    let server = Server::raw(|mut stream, number, _| {
        if number % 2 == 1 {
            let _ = stream.read_to_end(&mut Vec::new());
            return;
        }
        let Ok(mut websocket) = accept(stream) else { return };
        while let Ok(message) = websocket.read() {
            if message.is_text() && websocket.send(message).is_err() {
                return;
            }
        }
    });
    let run = ws_load(&server.url(), &["--churn", "-c", "4", "-D", "300ms", "--drain", "200ms"]);
    let unfinished = run.count("unfinished");
    assert!(run.code == Some(0) && (1..=4).contains(&unfinished), "{run:?}");
    assert!(run.words().contains(&format!("{unfinished} still opening at the end")), "{run:?}");
}

#[test]
fn hold_keeps_connections_open_and_answers_pings() {
    let pongs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&pongs);
    let server = Server::raw(move |stream, _, _| {
        let Ok(mut websocket) = accept(stream) else { return };
        let _ = websocket.send(Message::Ping("ping".into()));
        while let Ok(message) = websocket.read() {
            counted.fetch_add(u64::from(message.is_pong()), Ordering::Relaxed);
        }
    });
    let run = ws_load(&server.url(), &["--hold", "-c", "30", "-D", "500ms"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(
        (run.count("sent"), run.count("pings"), pongs.load(Ordering::Relaxed)),
        (0, 30, 30),
        "{run:?}"
    );
    assert_eq!(run.json["open_at_end"], 30, "{run:?}");
    assert!(run.stdout.contains("30 still open at the end, 30 pings answered"), "{run:?}");
}

#[test]
fn ramp_spreads_the_opening_and_a_closed_loop_starts_at_once() {
    let server = Server::echo();
    let began = Instant::now();
    let run = ws_load(&server.url(), &["-c", "10", "--ramp", "1s", "-D", "200ms"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(began.elapsed() >= Duration::from_millis(1100), "{:?}", began.elapsed());
    assert!(run.count("replies") > run.count("in_window"), "{run:?}");
}

#[test]
fn messages_follow_size_kind_file_and_prefix_options() {
    let server = Server::echo();
    let file = scratch("messages.txt");
    fs::write(&file, "one\nzwei mit Umlaut ä\n\n四\n").unwrap();
    let file = file.to_str().unwrap();
    for options in [
        &["--size", "0..5000", "--binary"][..],
        &["--size", "1:5,200KiB:1", "--depth", "4"],
        &["--size", "1MiB", "-d", "2"],
        &["--file", file],
        &["--file", file, "--binary"],
    ] {
        let run = ws_load(&server.url(), &[&["-c", "2", "-n", "60"][..], options].concat());
        assert_eq!(run.code, Some(0), "{options:?}: {run:?}");
        assert_eq!(run.count("sent_bytes"), run.count("reply_bytes"), "{options:?}: {run:?}");
    }
    let _ = fs::remove_file(file);
    let prefixing = Server::replying(|_, message| match message {
        Message::Text(text) => vec![Message::text(format!("Received: {text}"))],
        other => vec![other],
    });
    for (options, wrong) in [
        (&["--expect-prefix", "Received: "][..], 0),
        (&["--expect-prefix", "Received: ", "--binary"], 0),
        (&["--expect-prefix", "Got: "], 20),
        (&[], 20),
    ] {
        let run = ws_load(&prefixing.url(), &[&["-c", "2", "-n", "20"][..], options].concat());
        let expected = if wrong == 0 { vec![] } else { vec![("changed", wrong)] };
        assert_eq!(faults(&run), expected, "{options:?}: {run:?}");
    }
}

#[test]
fn handshake_contains_subprotocols_header_fields_and_origin() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let server = Server::raw(move |stream, _, _| {
        let noted = Arc::clone(&noted);
        #[allow(clippy::result_large_err, reason = "the signature is tungstenite's")]
        let callback = move |request: &Request, mut response: Response| {
            let header =
                |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
            let names = ["sec-websocket-protocol", "x-one", "origin", "host"];
            noted.lock().unwrap().extend(names.map(header));
            response.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
            Ok(response)
        };
        if let Ok(mut websocket) = accept_hdr(stream, callback) {
            while let Ok(message) = websocket.read() {
                if message.is_text() {
                    let _ = websocket.send(message);
                }
            }
        }
    });
    let headers = ["-H", "X-One: 1", "-H", "Host: elsewhere", "--origin", "https://here"];
    let protocols = ["--subprotocol", "superchat", "--subprotocol", "chat"];
    let run = ws_load(&server.url(), &[&["-c", "1", "-n", "1"][..], &headers, &protocols].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    let expected = ["superchat, chat", "1", "https://here", "elsewhere"].map(|value| Some(value.to_owned()));
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn connect_tries_the_second_address_of_a_name() {
    let server = Server::echo();
    let url = format!("ws://localhost:{}/", server.address.port());
    let run = ws_load(&url, &["-c", "3", "-n", "9"]);
    assert_eq!((run.code, run.count("replies")), (Some(0), 9), "{run:?}");
}

#[test]
fn deflate_is_used_where_the_server_agrees() {
    let compressed = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&compressed);
    let agreeing = Server::raw(move |stream, _, _| {
        let _ = echo_frames(stream, &counted);
    });
    let options = ["--deflate", "-c", "2", "-n", "50", "-d", "3", "--size", "0..3000"];
    let run = ws_load(&agreeing.url(), &options);
    assert_eq!((run.code, run.count("replies"), run.count("compressed")), (Some(0), 50, 2), "{run:?}");
    assert_eq!(compressed.load(Ordering::Relaxed), 50);
    let declining = Server::echo();
    let run = ws_load(&declining.url(), &options);
    assert_eq!((run.code, run.count("replies"), run.count("compressed")), (Some(0), 50, 0), "{run:?}");
}

/// Agrees to permessage-deflate and sends every frame back unchanged, which is a correct echo without context
/// takeover. Counts the compressed frames.
fn echo_frames(mut stream: TcpStream, compressed: &AtomicU64) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Extensions: permessage-deflate; \
         server_no_context_takeover; client_no_context_takeover\r\n\r\n",
        tungstenite::handshake::derive_accept_key(key.as_bytes())
    )?;
    loop {
        let mut two = [0; 2];
        stream.read_exact(&mut two)?;
        let mut long = vec![0; if two[1] & 0x7f == 126 { 2 } else { 0 }];
        stream.read_exact(&mut long)?;
        let length = match long[..] {
            [high, low] => usize::from(u16::from_be_bytes([high, low])),
            _ => usize::from(two[1] & 0x7f),
        };
        let mut mask = [0; 4];
        stream.read_exact(&mut mask)?;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload)?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        compressed.fetch_add(u64::from(two[0] & 0x40 != 0), Ordering::Relaxed);
        stream.write_all(&[&[two[0], two[1] & 0x7f][..], &long, &payload].concat())?;
        if two[0] & 0x0f == 8 {
            return Ok(());
        }
    }
}

#[test]
fn raw_tcp_echo_is_measured_without_websocket() {
    let server = Server::raw(|mut stream, _, _| {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
    });
    let url = format!("tcp://{}", server.address);
    for options in [&["-d", "16"][..], &["--size", "0..300000", "-d", "2"], &["--binary"]] {
        let run = ws_load(&url, &[&["-c", "3", "-n", "300"][..], options].concat());
        assert_eq!((run.code, run.count("replies"), run.count("closed_clean")), (Some(0), 300, 3), "{run:?}");
    }
}
