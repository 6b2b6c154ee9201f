//! `--trust-proxy`: the client that `Forwarded` or `X-Forwarded-For` names.

use std::io::BufRead;
use std::os::unix::net::UnixStream;

use serde_json::Value as Json;
use ws_echo::Config;
use ws_echo::config::{ProxyProtocol, TrustedProxy};

use crate::harness::{Client, TEST_TIMEOUT, TestServer, config, request};
use crate::server_process::{LogLines, ServerProcess};

/// A client that writes an address of its own, and two proxies.
const CLIENT: &[(&str, &str)] = &[("X-Forwarded-For", "203.0.113.9, 192.0.2.1, 10.0.0.2")];

fn start(trusted: &[&str], proxy_protocol: ProxyProtocol) -> TestServer {
    let trust_proxy = trusted.iter().map(|range| TrustedProxy::Network(range.parse().unwrap())).collect();
    TestServer::with(Config { trust_proxy, proxy_protocol, ..config() })
}

/// Returns what `/info` sends after these first bytes and a handshake with these fields.
fn info(server: &TestServer, first: &str, fields: &[(&str, &str)]) -> Json {
    let mut client = server.connect();
    client.send(format!("{first}{}", request("/info", fields)));
    assert!(client.read_head().starts_with("HTTP/1.1 101 "));
    serde_json::from_str(&client.read_text()).unwrap()
}

#[test]
fn trusted_proxy_names_the_client() {
    let server = start(&["127.0.0.0/8", "10.0.0.0/8"], ProxyProtocol::Off);
    let seen = info(&server, "", CLIENT);
    assert_eq!((&seen["peer"], &seen["forwarded_by"]), (&"192.0.2.1".into(), &"X-Forwarded-For".into()));
    assert!(seen["proxy"].as_str().unwrap().starts_with("127.0.0.1:"), "{seen}");
    let lines = [("Forwarded", "for=\"x"), ("Forwarded", "for=\"[2001:db8::1]:5000\";proto=https")];
    let seen = info(&server, "", &lines);
    assert_eq!((&seen["peer"], &seen["forwarded_by"]), (&"[2001:db8::1]:5000".into(), &"Forwarded".into()));
    for (name, value) in [("Forwarded", "for=unknown"), ("X-Forwarded-For", ""), ("Forwarded", "for=\"_a")] {
        let seen = info(&server, "", &[(name, value)]);
        assert!(seen["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{seen}");
        assert_eq!((&seen["proxy"], &seen["forwarded_by"]), (&Json::Null, &Json::Null));
    }
}

#[test]
fn forwarded_fields_of_others_change_nothing() {
    for trusted in [&[][..], &["10.0.0.0/8", "192.0.2.0/24", "::/0"]] {
        let server = start(trusted, ProxyProtocol::Off);
        let seen = info(&server, "", CLIENT);
        assert!(seen["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{seen}");
        assert_eq!((&seen["proxy"], &seen["forwarded_by"]), (&Json::Null, &Json::Null));
    }
}

#[test]
fn proxy_header_decides_whether_the_proxy_is_trusted() {
    let server = start(&["10.0.0.0/8"], ProxyProtocol::Accept);
    let header = |source: &str| format!("PROXY TCP4 {source} 198.51.100.2 5000 443\r\n");
    assert_eq!(info(&server, &header("10.0.0.1"), CLIENT)["peer"], "192.0.2.1");
    assert_eq!(info(&server, &header("192.0.2.7"), CLIENT)["peer"], "192.0.2.7:5000");
}

#[test]
fn forwarded_client_is_the_one_of_the_address_limit_and_of_the_log() {
    let mut process = ServerProcess::start(&["--trust-proxy", "127.0.0.1,::1", "--max-per-ip", "1"]);
    let log = LogLines::of(&mut process);
    let open = |client_address: &str| {
        let mut client = Client::connect(process.address);
        client.send(request("/echo", &[("X-Forwarded-For", client_address)]));
        let head = client.read_head();
        (client, head)
    };
    let (held, head) = open("192.0.2.1");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(log.expect("opened /echo").contains(" 192.0.2.1 opened"));
    assert!(open("192.0.2.1").1.starts_with("HTTP/1.1 429 "));
    let (_other, head) = open("192.0.2.2");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    held.close();
    assert!(log.expect("closed by the client").contains(" 192.0.2.1 closed"));
}

#[test]
fn trusted_unix_socket_names_the_client() {
    let path = std::env::temp_dir().join(format!("ws-echo-trust-{}.sock", std::process::id()));
    let listen = format!("unix:{}", path.display());
    let mut process = ServerProcess::start(&["--listen", &listen, "--trust-proxy", "unix"]);
    process.out.read_line(&mut String::new()).unwrap();
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let mut client = Client { stream };
    client.send(request("/info", CLIENT));
    assert!(client.read_head().starts_with("HTTP/1.1 101 "));
    let seen: Json = serde_json::from_str(&client.read_text()).unwrap();
    // No range is trusted: the last address is the client.
    assert_eq!((&seen["peer"], &seen["proxy"]), (&"10.0.0.2".into(), &"unix".into()));
    drop(client);
    process.signal("TERM");
    assert_eq!(process.wait().0, Some(0));
}
