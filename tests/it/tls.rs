//! Behaviour that only TLS has, with rustls as the client. Other tests run over both transports.

use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, HandshakeKind};
use tungstenite::Message;
use ws_echo::session::websocket::TlsInfo;
use ws_echo::{Config, Endpoint, Listener, Next, Routes, WebSocketSession};

use crate::harness::{Frame, TEST_TIMEOUT, TestServer, config, masked, text, upgrade};
use crate::tls_server::{Files, TlsServer, connect};

/// Sends the TLS parameters of its session to the test, and closes.
struct SendsTlsInfo(mpsc::Sender<Option<TlsInfo>>);

impl Endpoint for SendsTlsInfo {
    fn on_open(&mut self, session: &mut WebSocketSession) -> Next {
        self.0.send(session.request().tls.clone()).unwrap();
        Next::Close(1000, String::new())
    }

    fn on_message(&mut self, _: &mut WebSocketSession, _: Message) -> Next {
        Next::Continue
    }
}

#[test]
fn tls_1_2_and_1_3_echo_and_close_cleanly() {
    let files = Files::new();
    let (info, seen) = mpsc::channel();
    let routes = Routes::standard().with("/info", move || SendsTlsInfo(info.clone()));
    let certificate = files.load();
    let server = TestServer::on(|socket| Listener::secure(socket, certificate), config(), routes);
    for (version, name) in [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")] {
        let client_config = files.client(&[version]);
        let mut client = connect(server.address, &client_config).open("/");
        assert_eq!(client.stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        client.send(text("Hello, world!"));
        assert_eq!(client.read_text(), "Received: Hello, world!");
        // The stream only ends without an error after a close_notify.
        client.close();
        let mut client = connect(server.address, &client_config).open("/info");
        let info = seen.recv_timeout(TEST_TIMEOUT).unwrap().expect("this is TLS");
        assert_eq!((info.version, info.alpn.as_deref()), (name, Some("http/1.1")));
        assert_eq!(client.read_frame(), Frame::close(1000, ""));
    }
    assert_eq!(server.finish().totals.closed[&("client", 1000)], 2);
}

#[test]
fn tls_burst_and_message_in_many_records_are_echoed() {
    let tls = TlsServer::start();
    let mut client = tls.open("/echo");
    let burst: Vec<u8> = (0..100).flat_map(|n| text(&format!("{n:01000}"))).collect();
    client.send(burst);
    for n in 0..100 {
        assert_eq!(client.read_text(), format!("{n:01000}"));
    }
    let message = masked(0x82, vec![5; 3000]);
    for piece in message.chunks(7) {
        client.send(piece);
    }
    assert_eq!(client.read_frame(), Frame::new(0x82, vec![5; 3000]));
    client.close();
}

#[test]
fn tls_large_echoes_are_intact_with_pings_between() {
    let ping_interval = Duration::from_millis(10);
    let tls = TlsServer::with(Config { ping_interval, ..config() }, Routes::standard());
    thread::scope(|scope| {
        for size in [1 << 20, 4 << 20] {
            let mut client = tls.open("/echo");
            scope.spawn(move || {
                let payload: Vec<u8> =
                    (0..size).map(|n: u32| n.to_le_bytes()[usize::from(n.is_multiple_of(3))]).collect();
                let message = masked(0x82, &payload);
                let (first_half, rest) = message.split_at(message.len() / 2);
                for round in 0..8 {
                    client.send(first_half);
                    assert_eq!(client.read_frame(), Frame::new(0x89, ""), "silence in round {round}");
                    client.send(rest);
                    let echo = loop {
                        let frame = client.read_frame();
                        if frame.first != 0x89 {
                            break frame;
                        }
                    };
                    client.send(masked(0x8a, ""));
                    assert!(
                        echo.first == 0x82 && echo.payload == payload,
                        "echo {round} of {size} is damaged"
                    );
                }
            });
        }
    });
}

#[test]
fn tls_shutdown_sends_one_close_to_every_busy_client() {
    let tls = TlsServer::with(Config { connections: 20, ..config() }, Routes::standard());
    thread::scope(|scope| {
        let started: Vec<_> = (0..20)
            .map(|n| {
                let mut client = tls.open("/echo");
                let (started, wait) = mpsc::channel();
                scope.spawn(move || {
                    let message = text(&"m".repeat(100 * n + 1));
                    loop {
                        client.send(&message);
                        let frame = client.read_frame();
                        if frame.first == 0x88 {
                            assert_eq!(frame.code(), 1001);
                            break;
                        }
                        let _ = started.send(());
                    }
                    client.send(masked(0x88, 1001_u16.to_be_bytes()));
                    client.expect_end();
                });
                wait
            })
            .collect();
        for started in started {
            started.recv_timeout(TEST_TIMEOUT).unwrap();
        }
        tls.server.stop.request();
    });
    let totals = tls.finish();
    assert_eq!((totals.closed[&("server", 1001)], totals.clean, totals.aborted), (20, 20, 0), "{totals:?}");
}

#[test]
fn tls_session_is_resumed_by_a_second_connection() {
    let tls = TlsServer::start();
    for version in [&TLS12, &TLS13] {
        let client = tls.files.client(&[version]);
        let handshake = || {
            let mut session = connect(tls.server.address, &client).open("/echo");
            session.send(text("a ticket has come with the echo"));
            session.read_text();
            let kind = session.stream.conn.handshake_kind();
            session.close();
            kind
        };
        assert_eq!(handshake(), Some(HandshakeKind::Full));
        assert_eq!(handshake(), Some(HandshakeKind::Resumed), "{version:?}");
    }
}

#[test]
fn tls_rejected_connection_gets_503() {
    let tls = TlsServer::with(Config { connections: 1, waiting: 0, ..config() }, Routes::standard());
    let served = tls.open("/echo");
    // A peer that does not continue its handshake does not delay the response to others.
    let silent = tls.server.connect();
    for version in [&TLS12, &TLS13] {
        let mut rejected = connect(tls.server.address, &tls.files.client(&[version]));
        rejected.send(upgrade("/echo"));
        let response = String::from_utf8(rejected.read_rest()).unwrap();
        assert!(
            response.starts_with("HTTP/1.1 503 ") && response.contains("all connections are in use"),
            "{response}"
        );
    }
    served.close();
    drop(silent);
    assert_eq!(tls.finish().rejected["full"], 2);
}

#[test]
fn tls_handshake_in_progress_is_aborted_at_shutdown() {
    let tls = TlsServer::start();
    let mut handshaking = tls.server.connect();
    handshaking.send([22, 3, 1]);
    // Connections are accepted in order: when this one is served, the one before it has a worker too.
    tls.open("/echo").close();
    tls.server.stop.request();
    handshaking.expect_gone();
    let totals = tls.finish();
    assert_eq!((totals.closed[&("tls", 0)], totals.clean, totals.aborted), (1, 1, 0), "{totals:?}");
}

#[test]
fn tls_handshakes_in_progress_take_no_worker() {
    let tls = TlsServer::with(Config { workers: 1, ..config() }, Routes::standard());
    let mut hello = Vec::new();
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(Arc::clone(&tls.client), name).unwrap().write_tls(&mut hello).unwrap();
    let _handshaking: Vec<_> = [&hello[..1], &hello[..50], &hello[..]]
        .into_iter()
        .map(|bytes| {
            let mut client = tls.server.connect();
            client.send(bytes);
            client
        })
        .collect();
    let mut client = tls.open("/echo");
    client.send(text("served"));
    assert_eq!(client.read_text(), "served");
    client.close();
}

#[test]
fn tls_port_answers_a_plain_request_with_400() {
    let tls = TlsServer::start();
    let mut client = tls.server.connect();
    client.send(upgrade("/"));
    let response = String::from_utf8(client.read_rest()).unwrap();
    assert!(response.starts_with("HTTP/1.1 400 ") && response.contains("wss:// or https://"), "{response}");
    tls.open("/echo").close();
    assert_eq!(tls.finish().closed[&("http", 400)], 1);
}

#[test]
fn tls_port_answers_random_bytes_with_an_alert() {
    let tls = TlsServer::start();
    let mut client = tls.server.connect();
    client.send([0x80; 100]);
    let response = client.read_rest();
    // RFC 8446, 6: an alert (21), fatal (2).
    assert_eq!((response[0], response[5]), (21, 2), "{response:?}");
    drop(client);
    assert_eq!(tls.finish().closed[&("tls", 0)], 1);
}

#[test]
fn tls_handshake_timeout_aborts_and_frees_the_worker() {
    let config = Config { connections: 1, handshake_timeout: Duration::from_millis(400), ..config() };
    let tls = TlsServer::with(config, Routes::standard());
    let name = ServerName::try_from("localhost").unwrap();
    let mut hello = Vec::new();
    ClientConnection::new(Arc::clone(&tls.client), name).unwrap().write_tls(&mut hello).unwrap();
    // A record that is not completed, one that arrives byte by byte, and one whose reply gets no reply.
    let pieces = [(&hello[..20], 20), (&hello[..], 1), (&hello[..], hello.len())];
    for (bytes, piece) in pieces {
        let mut client = tls.server.connect();
        client.stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let mut pieces = bytes.chunks(piece);
        let since = Instant::now();
        let mut buffer = [0; 4096];
        loop {
            if let Some(piece) = pieces.next()
                && client.stream.write_all(piece).is_err()
            {
                break;
            }
            match client.stream.read(&mut buffer) {
                Ok(0) => break,
                Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
                _ => assert!(since.elapsed() < TEST_TIMEOUT, "held by {} bytes", bytes.len()),
            }
        }
        let held = since.elapsed();
        assert!(held < Duration::from_secs(3), "held for {held:?}");
    }
    tls.open("/echo").close();
    assert_eq!(tls.finish().closed[&("tls", 0)], 3);
}

#[test]
fn tls_end_without_close_notify_is_clean_only_after_a_close() {
    let tls = TlsServer::start();
    let mut client = tls.open("/echo");
    client.send(masked(0x88, 1000_u16.to_be_bytes()));
    assert_eq!(client.read_frame(), Frame::close(1000, ""));
    client.stream.sock.shutdown(std::net::Shutdown::Both).unwrap();
    let mut client = tls.open("/echo");
    client.send(text("no Close follows"));
    client.read_text();
    client.stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
    client.expect_end();
    let totals = tls.finish();
    assert_eq!((totals.closed[&("client", 1000)], totals.clean), (1, 1), "{totals:?}");
    assert_eq!(totals.closed[&("vanished", 1006)], 1);
}

#[test]
fn tls_messages_before_a_close_notify_are_echoed() {
    let tls = TlsServer::start();
    let mut client = tls.open("/echo");
    client.stream.conn.writer().write_all(&text("the last")).unwrap();
    client.stream.conn.send_close_notify();
    let mut records = Vec::new();
    while client.stream.conn.wants_write() {
        client.stream.conn.write_tls(&mut records).unwrap();
    }
    client.stream.sock.write_all(&records).unwrap();
    assert_eq!(client.read_text(), "the last");
    client.expect_end();
    assert_eq!(tls.finish().closed[&("vanished", 1006)], 1);
}

#[test]
fn tls_damaged_record_ends_the_session_with_an_alert() {
    let tls = TlsServer::start();
    let mut client = tls.open("/echo");
    // A record of application data that is not encrypted.
    client.stream.sock.write_all(&[&[23, 3, 3, 0, 40][..], &[9; 40]].concat()).unwrap();
    let error = client.stream.read(&mut [0; 16]).unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    assert_eq!(tls.finish().closed[&("vanished", 1006)], 1);
}
