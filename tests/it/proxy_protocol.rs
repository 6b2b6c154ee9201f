//! `--proxy-protocol`: the address that a PROXY header names, and what happens to other first bytes.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use proxy_header::{ProxiedAddress, ProxyHeader, SslInfo, Tlv};
use rustls::version::TLS13;
use serde_json::Value as Json;
use ws_echo::config::ProxyProtocol;
use ws_echo::{Config, Listener, Routes};

use crate::harness::{Client, TestServer, config, eventually, exchange, request, text, upgrade};
use crate::server_process::{LogLines, ServerProcess};
use crate::tls_server::{Files, secure};

/// A header of version 1.
const LINE: &str = "PROXY TCP4 192.0.2.1 198.51.100.2 5000 443\r\n";

/// A header of version 2 for a connection of the proxy itself.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// What a client behind a proxy with TLS sends: version 2 with its values.
fn binary(source: &str) -> Vec<u8> {
    let destination = if source.starts_with('[') { "[2001:db8::2]:443" } else { "198.51.100.2:443" };
    let address = ProxiedAddress::stream(source.parse().unwrap(), destination.parse().unwrap());
    let mut tls = SslInfo::new(true, true, true, 0);
    tls.append_tlv(Tlv::SslVersion("TLSv1.3".into()));
    tls.append_tlv(Tlv::SslCn("Client 1".into()));
    let values = [Tlv::Authority("example.org".into()), Tlv::Noop(500), Tlv::Ssl(tls)];
    let mut bytes = Vec::new();
    ProxyHeader::with_tlvs(Some(address), values).encode_v2(&mut bytes).unwrap();
    bytes
}

fn start(proxy_protocol: ProxyProtocol) -> TestServer {
    TestServer::with(Config { proxy_protocol, ..config() })
}

/// Sends these bytes and then a handshake. Returns what `/info` sends.
fn info(server: &TestServer, first: &[u8]) -> Json {
    let mut client = server.connect();
    client.send([first, upgrade("/info").as_bytes()].concat());
    assert!(client.read_head().starts_with("HTTP/1.1 101 "));
    serde_json::from_str(&client.read_text()).unwrap()
}

#[test]
fn proxy_header_names_the_client_of_a_session() {
    for mode in [ProxyProtocol::Accept, ProxyProtocol::Require] {
        let server = start(mode);
        let seen = info(&server, LINE.as_bytes());
        assert_eq!(seen["peer"], "192.0.2.1:5000");
        assert!(seen["proxy"].as_str().unwrap().starts_with("127.0.0.1:"), "{seen}");
        assert_eq!((&seen["proxy_protocol"]["version"], &seen["tls"]), (&1.into(), &Json::Null));
        let seen = info(&server, &binary("[2001:db8::1]:5000"));
        assert_eq!(seen["peer"], "[2001:db8::1]:5000");
        let header = &seen["proxy_protocol"];
        assert_eq!(header["destination"], "[2001:db8::2]:443");
        assert_eq!(header["authority"], "example.org");
        assert_eq!(
            (&header["tls"]["version"], &header["tls"]["verified"]),
            (&"TLSv1.3".into(), &true.into())
        );
        assert_eq!(header["tls"]["common_name"], "Client 1");
    }
}

#[test]
fn proxy_header_in_pieces_is_read() {
    let server = start(ProxyProtocol::Require);
    for header in [LINE.as_bytes(), &binary("192.0.2.1:5000")] {
        let mut client = server.connect();
        for byte in header {
            client.send([*byte]);
        }
        let mut client = client.open("/info");
        assert!(client.read_text().contains("\"peer\":\"192.0.2.1:5000\""));
        client.send(text("a"));
        assert_eq!(client.read_text(), "a");
    }
}

#[test]
fn proxy_header_without_an_address_keeps_the_address_of_the_socket() {
    let server = start(ProxyProtocol::Require);
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        let seen = info(&server, header);
        assert!(seen["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{seen}");
        assert_eq!((&seen["proxy"], &seen["proxy_protocol"]["source"]), (&Json::Null, &Json::Null));
    }
}

#[test]
fn proxy_header_comes_before_tls() {
    let files = Files::new();
    let certificate = files.load();
    let server = TestServer::on(
        |socket| Listener::secure(socket, certificate),
        Config { proxy_protocol: ProxyProtocol::Accept, ..config() },
        Routes::standard(),
    );
    let client_config = files.client(&[&TLS13]);
    let mut client = server.connect();
    client.send(binary("192.0.2.1:5000"));
    let mut client = secure(client.stream, &client_config).open("/info");
    let seen: Json = serde_json::from_str(&client.read_text()).unwrap();
    assert_eq!(seen["peer"], "192.0.2.1:5000");
    assert_eq!(seen["tls"]["version"], "TLSv1.3");
    let mut direct = secure(server.connect().stream, &client_config).open("/info");
    let seen: Json = serde_json::from_str(&direct.read_text()).unwrap();
    assert!(seen["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{seen}");
}

#[test]
fn connection_without_a_proxy_header_is_served_only_if_none_is_required() {
    let server = start(ProxyProtocol::Accept);
    assert_eq!(info(&server, b"")["proxy_protocol"], Json::Null);
    let mut client = server.connect();
    for byte in upgrade("/echo").bytes() {
        client.send([byte]);
    }
    assert!(client.read_head().starts_with("HTTP/1.1 101 "));
    let off = exchange(start(ProxyProtocol::Off).address, LINE);
    assert!(off.starts_with("HTTP/1.1 400 "), "{off}");
}

#[test]
fn required_proxy_header_that_is_missing_or_malformed_is_400_and_is_logged_by_its_kind() {
    let mut process = ServerProcess::start(&["--proxy-protocol", "require"]);
    let log = LogLines::of(&mut process);
    let long = [&LOCAL[..14], &5000_u16.to_be_bytes()].concat();
    for (bytes, words) in [
        (upgrade("/echo").as_bytes(), "expects a PROXY header, and gets an HTTP request"),
        (b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", "expects a PROXY header, and gets an HTTP request"),
        (b"\x16\x03\x01\x02", "expects a PROXY header, and gets a TLS handshake"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "expects a PROXY header, and gets HTTP/2"),
        (b"PROXY TCP4 192.0.2.1\r\n", "the PROXY header of version 1 is malformed"),
        (&[b"PROXY ", &[b'a'; 101][..]].concat(), "no line end in 107 bytes"),
        (&long, "has 5000 bytes after its first 16; at most 4096"),
    ] {
        let response = exchange(process.address, bytes);
        assert!(response.starts_with("HTTP/1.1 400 ") && response.contains(words), "{response}");
        let line = log.expect(" 400: ");
        assert!(line.contains(words), "{line}");
    }
}

#[test]
fn proxy_header_that_does_not_end_is_cut_at_the_handshake_deadline() {
    let handshake_timeout = Duration::from_millis(300);
    let config = Config { proxy_protocol: ProxyProtocol::Require, handshake_timeout, ..config() };
    let server = TestServer::with(config);
    let lying = [&LOCAL[..12], b"\x21\x11", &4096_u16.to_be_bytes(), &[1; 12]].concat();
    for (begin, more) in [(&b"PROXY TCP4 1"[..], &b"1"[..]), (&LOCAL[..5], b""), (&lying, b"1")] {
        let (mut client, since) = (server.connect(), Instant::now());
        client.send(begin);
        client.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let ended = loop {
            match client.stream.read(&mut [0; 100]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // A byte now and then does not put off the deadline.
                    let _ = client.stream.write(more);
                }
                ended => break ended,
            }
            assert!(since.elapsed() < Duration::from_secs(10), "the connection has no deadline");
        };
        assert!(!matches!(ended, Ok(1..)), "{ended:?}");
        assert!(since.elapsed() >= handshake_timeout, "{:?}", since.elapsed());
    }
    // A header alone is a connection without a request, which gets no response either.
    let mut client = server.connect();
    client.send(LINE);
    client.expect_gone();
    assert_eq!(server.finish().totals.sessions, 0);
}

#[test]
fn proxied_address_is_the_one_of_the_address_limit_and_of_the_log() {
    let mut process = ServerProcess::start(&["--proxy-protocol", "accept", "--max-per-ip", "1"]);
    let log = LogLines::of(&mut process);
    let open = |first: &[u8]| {
        let mut client = Client::connect(process.address);
        client.send([first, request("/echo", &[]).as_bytes()].concat());
        let head = client.read_head();
        (client, head)
    };
    let (held, head) = open(LINE.as_bytes());
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(log.expect("opened /echo").contains(" 192.0.2.1:5000 opened"));
    let (_, head) = open(LINE.replace("5000", "5001").as_bytes());
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    let (_other, head) = open(&binary("192.0.2.3:5000"));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let (_direct, head) = open(b"");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    // A connection whose client is not known yet counts for no address.
    let _silent = Client::connect(process.address);
    held.close();
    log.expect("192.0.2.1:5000 closed by the client");
    eventually("the address has no connection", || open(LINE.as_bytes()).1.starts_with("HTTP/1.1 101 "));
}

#[test]
fn probes_of_the_admin_address_need_no_proxy_header() {
    let options = ["--proxy-protocol", "require", "--admin-listen", "127.0.0.1:0"];
    let mut process = ServerProcess::start(&options);
    let mut line = String::new();
    process.out.read_line(&mut line).unwrap();
    let (_, address) = line.trim().rsplit_once(' ').unwrap();
    let address = address.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let get = |address, first| exchange(address, format!("{first}GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(get(address, "").starts_with("HTTP/1.1 200 "), "{line}");
    assert!(get(process.address, "PROXY UNKNOWN\r\n").starts_with("HTTP/1.1 200 "));
    assert!(get(process.address, "").starts_with("HTTP/1.1 400 "));
}
